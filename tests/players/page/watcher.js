// What happens in the video element, whichever player feeds it.
'use strict';

const video = document.querySelector('video');

class Watcher {
  constructor() {
    // Small: a picture's number is in large blocks. On the CPU, because every picture is read back.
    this.canvas = new OffscreenCanvas(64, 36);
    this.context = this.canvas.getContext('2d', {willReadFrequently: true});
    this.clear();
    for (const name of ['playing', 'seeking', 'seeked', 'waiting', 'stalled', 'error', 'ended', 'ratechange']) {
      video.addEventListener(name, () => this.happened(name));
    }
    const next = () => {
      this.shown();
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  }

  clear() {
    this.events = [];
    this.frames = [];
  }

  happened(name, detail = '') {
    this.events.push({
      name,
      detail: String(detail),
      at: video.currentTime,
      buffered: ranges(video.buffered),
      seeking: video.seeking,
      visible: document.visibilityState,
    });
  }

  // The picture on the screen: when it is to be shown, its size, and its brightness, shrunk to 64 x 36.
  // Null where a key system decrypts it: those can only be looked at.
  picture() {
    if (video.mediaKeys) return null;
    const frame = new VideoFrame(video);  // carries its own time, also when the screen is late
    try {
      return {at: frame.timestamp / 1e6, width: frame.displayWidth, height: frame.displayHeight,
              luma: this.brightness(frame)};
    } finally {
      frame.close();
    }
  }

  // The same of a rectangle in an image.
  async cell(uri, x, y, width, height) {
    const image = Object.assign(new Image(), {crossOrigin: 'anonymous', src: uri});
    await image.decode();
    return this.brightness(image, x, y, width, height);
  }

  brightness(image, ...place) {
    this.context.drawImage(image, ...place, 0, 0, 64, 36);
    const pixels = this.context.getImageData(0, 0, 64, 36).data;
    const luma = new Uint8Array(64 * 36);
    for (let n = 0; n < luma.length; n++) luma[n] = pixels[4 * n + 1];
    return btoa(String.fromCharCode(...luma));
  }

  shown() {
    const picture = video.seeking ? null : this.picture();
    if (picture) this.frames.push(picture);
  }

  // Goes to a time, and waits until the picture of that time is there.
  async seek(seconds, frameSeconds) {
    const done = new Promise(resolve => video.addEventListener('seeked', resolve, {once: true}));
    video.currentTime = seconds;
    await within(20, done, `seek to ${seconds}`);
    let picture = this.picture();
    for (let tries = 0; picture && tries < 100; tries++) {
      if (picture.at <= seconds && seconds < picture.at + frameSeconds) break;
      await sleep(20);
      picture = this.picture();
    }
    return picture;
  }

  quality() {
    const found = video.getVideoPlaybackQuality();
    return {total: found.totalVideoFrames, dropped: found.droppedVideoFrames, corrupted: found.corruptedVideoFrames,
            sound: video.webkitAudioDecodedByteCount};
  }

  state() {
    return {at: video.currentTime, duration: video.duration, ended: video.ended, paused: video.paused,
            width: video.videoWidth, height: video.videoHeight, buffered: ranges(video.buffered),
            error: video.error && video.error.message, quality: this.quality()};
  }

  // The pitch that is heard now, in Hz.
  pitch() {
    if (!this.analyser) {
      const context = new AudioContext();
      this.analyser = context.createAnalyser();
      this.analyser.fftSize = 8192;
      const source = context.createMediaElementSource(video);
      source.connect(this.analyser);
      source.connect(context.destination);
    }
    const bins = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    return bins[loudest] < -60 ? 0 : loudest * this.analyser.context.sampleRate / this.analyser.fftSize;
  }
}

function ranges(buffered) {
  return Array.from({length: buffered.length}, (_, n) => [buffered.start(n), buffered.end(n)]);
}

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

function within(seconds, promise, what) {
  const late = sleep(1000 * seconds).then(() => { throw new Error(`${what}: not within ${seconds} s`); });
  return Promise.race([promise, late]);
}

const watcher = new Watcher();
