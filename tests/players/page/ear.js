// Records what it hears, mixed to one channel, and when on the clock of its context.
'use strict';

const BLOCK = 4096;  // samples a message

class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([[channel]]) {
    if (this.filled === 0) this.began = currentTime;
    if (channel) this.samples.set(channel, this.filled);
    this.filled += 128;
    if (this.filled === BLOCK) {
      this.port.postMessage({at: this.began, samples: this.samples.slice()});
      this.samples.fill(0);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor('ear', Ear);
