"""Random scenarios against the library, for a given time and seed: `python -m tests.chaos --help`.

    __main__   arguments, the loop, the closing table
    plan       what a scenario is made of, as values
    draw       a scenario from a seed and an index; the same pair always gives the same one;
               draw_stage: one of its stages
    tasks      the tasks and the results
    deeds      the functions that do good and evil with them; managers, with hooks that do the same
               owners: the manager or chain of a start
    states     the states of workers, and what has become of each; begins: when attempts begin
    oracle     what each task must come to, by plain iteration over the plan
    child      the script that runs scenarios. Its parts: feed, the input; reading, who reads a stream;
               stops, the signals; halts, who says stop(); left, what stays behind
    books      compares what came of a start, an `account`, with the oracle; told, where it was read
    driver     starts that script, makes trouble from outside, and looks at what is left of it; stderr:
               what a script may say there

A scenario never looks at what another one did, so each one that failed can be run alone again.
"""
