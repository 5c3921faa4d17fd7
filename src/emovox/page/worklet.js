// Samples of the microphone to frames of 100 ms in 16 bit, with their level and peak.

class Frames extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate / 10)); // little-endian wherever browsers run
    this.filled = this.power = this.peak = 0;
    this.running = true;
    this.port.onmessage = () => this.finish();
  }

  process([channels]) {
    if (!this.running || !channels.length) return this.running;
    for (let k = 0; k < channels[0].length; k++) {
      const value = channels.reduce((sum, channel) => sum + channel[k], 0) / channels.length;
      this.frame[this.filled++] = Math.round(32767 * Math.max(-1, Math.min(1, value)));
      this.power += value * value;
      this.peak = Math.max(this.peak, Math.abs(value));
      if (this.filled === this.frame.length) this.send();
    }
    return true;
  }

  send() {
    const samples = this.frame.slice(0, this.filled);
    const db = 10 * Math.log10(this.power / this.filled + 1e-10);
    this.port.postMessage({ samples, db, peak: this.peak }, [samples.buffer]);
    this.filled = this.power = this.peak = 0;
  }

  finish() {
    this.running = false;
    if (this.filled) this.send(); // the tail
    this.port.postMessage({ done: true });
  }
}

registerProcessor("frames", Frames);
