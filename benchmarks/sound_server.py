"""A sound server of one's own: what is played into it can be recorded, as from a microphone.

PulseAudio with a sink that leads nowhere; PortAudio records the sink's monitor through ALSA's
plugin for PulseAudio. Nothing of the user's own sound is touched.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SINK = "room"
_ALSA = "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
_PROGRAMS = ("pulseaudio", "pactl", "paplay")


def missing_programs() -> str:
    """Name what is missing; "" where all is there."""
    return ", ".join(name for name in _PROGRAMS if not shutil.which(name))


class SoundServer:
    """A server that can be started and stopped; `environment` makes it the only sound card."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        (folder / "alsa.conf").write_text(_ALSA)
        self._socket = runtime / "native"
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SOURCE": f"{SINK}.monitor",
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--use-pid-file=no", f"--load=module-null-sink sink_name={SINK} rate=48000"]
        command += [f"--load=module-native-protocol-unix auth-anonymous=1 socket={self._socket}"]
        self._process = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        for _ in range(100):
            asked = subprocess.run(["pactl", "info"], env=self.environment, capture_output=True)
            if asked.returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError("PulseAudio does not answer")

    def stop(self) -> None:
        """End it, as if the sound card were pulled out."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)

    def play(self, path: Path) -> subprocess.Popen[bytes]:
        """Begin to play a WAV file into it."""
        command = ["paplay", f"--device={SINK}", str(path)]
        return subprocess.Popen(command, env=self.environment)


@contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Start a server for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="sound-") as name:
        server = SoundServer(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()
