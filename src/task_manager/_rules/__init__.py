"""Rules that hold in every mode, as plain values: they know no thread, process or clock."""
