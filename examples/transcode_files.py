"""Transcodes a folder of songs; a few make the codec hang, and a few make it crash.

    python examples/transcode_files.py          200 songs, which it makes first, in songs/
    python examples/transcode_files.py 2000     more of them

Shows: what it costs if a call never comes back, or takes its whole process with it: one song each.
And a journal, so that it goes on where it was, after a `kill -9` too.
"""

import ctypes
import math
import struct
import sys
import wave
from array import array
from pathlib import Path

from task_manager import TaskManager


def transcode(name: str) -> int:
    """Half as many samples a second, in a file beside it; how many bytes that saves."""
    song = Path("songs", name)
    samples = array("h", samples_of(song.read_bytes()))
    half = song.with_suffix(".part")
    with wave.open(str(half), "wb") as file:
        file.setparams((1, 2, RATE // 2, 0, "NONE", ""))
        file.writeframes(samples[::2].tobytes())
    half = half.replace(song.with_suffix(".half"))  # at once: it is whole, or not there
    return song.stat().st_size - half.stat().st_size


def main() -> None:
    songs = made_songs()
    with TaskManager(
        transcode, "process", task_timeout=2, max_retries=0, show_progress=True, journal="songs.db"
    ) as manager:
        print(manager.start(songs))
    for song, error in manager.get_error_dict().items():
        print(f"{song}: {error}")
    print(f"saved {sum(manager.get_result_dict().values()):,} bytes")


# ------------------------------------------------ the songs, and a codec as there are some

SONGS = int(sys.argv[1]) if sys.argv[1:] else 200
RATE = 8000  # samples a second
RIFF = struct.Struct("<4si")  # what every part of a WAV file begins with: its name, its size


def samples_of(song: bytes) -> bytes:
    """As a codec that is written in C in a hurry: it believes what a file says of itself."""
    memory = ctypes.create_string_buffer(song, len(song))
    start = ctypes.addressof(memory)
    at = 12
    while True:
        name, size = RIFF.unpack(ctypes.string_at(start + at, RIFF.size))
        if name == b"data":
            return ctypes.string_at(start + at + RIFF.size, size)
        at += RIFF.size + size


def made_songs() -> list[str]:
    """So many songs of one tone; of a hundred, one sends the codec in a circle, one out of bounds."""
    folder = Path("songs")
    folder.mkdir(exist_ok=True)
    songs = [folder / f"{number:05}.wav" for number in range(SONGS)]
    for number, song in enumerate(songs):
        lie = {17: -RIFF.size, 42: 2**31 - 1}.get(number % 100)
        wild = b"" if lie is None else RIFF.pack(b"LIST", lie)
        pitch = 220 * 2 ** (number % 24 / 12)
        tone = array("h", (int(9000 * math.sin(math.tau * pitch * i / RATE)) for i in range(RATE // 4)))
        sound = RIFF.pack(b"fmt ", 16) + struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16) + wild
        sound += RIFF.pack(b"data", 2 * len(tone)) + tone.tobytes()
        song.write_bytes(RIFF.pack(b"RIFF", 4 + len(sound)) + b"WAVE" + sound)
    return [song.name for song in songs]


if __name__ == "__main__":
    main()
