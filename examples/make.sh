#!/usr/bin/env bash
# Make the example recordings anew, with the speech synthesiser espeak-ng and sox.
set -eu
cd "$(dirname "$0")"
speak() { # NAME VOICE PITCH SPEED VOLUME TEXT PEAK_DB
  espeak-ng -v "$2" -p "$3" -s "$4" -a "$5" -w "$1.wav" "$6"
  sox -q "$1.wav" -r 16000 -b 16 "$1.flac" gain -n "$7"
  rm "$1.wav"
}
speak slow-and-low en-us+f2 20 110 100 "Say the word boat." -14
speak even en-us+f2 45 150 100 "Say the word boat." -10
speak fast-and-high en-us+f2 90 210 180 "Say the word boat!" -4
speak man-even en-us+m3 40 150 100 "The meeting is at ten o'clock." -10
speak man-fast en-us+m3 85 230 180 "The meeting is at ten o'clock!" -4
