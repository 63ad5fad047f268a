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
    const next = (now, {mediaTime, expectedDisplayTime}) => {
      this.shown(mediaTime, expectedDisplayTime);
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

  // Notes the picture on the screen, with the subtitles and, once something listens, the time on the sound's clock.
  shown(at, milliseconds) {
    const picture = video.seeking ? null : this.picture();
    if (!picture) return;
    const clock = this.audio && this.audio.currentTime + (milliseconds - performance.now()) / 1000;
    // A late screen may have gone on to the next picture, which has no time of its own then.
    const timed = clock && Math.abs(picture.at - at) < 0.001;
    this.frames.push({...picture, text: activeCues(), clock: timed ? clock : null});
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

  // Where the sound goes instead of to the speaker, and from there to it.
  source() {
    if (!this.audio) {
      this.audio = new AudioContext({sampleRate: 48000});
      this.element = this.audio.createMediaElementSource(video);
      this.element.connect(this.audio.destination);
    }
    return this.element;
  }

  // Records all sound from now on.
  async listen() {
    const source = this.source();
    await this.audio.audioWorklet.addModule('/page/ear.js');
    const ear = new AudioWorkletNode(this.audio, 'ear', {channelCount: 1, channelCountMode: 'explicit'});
    this.heard = [];
    ear.port.onmessage = ({data}) => this.heard.push(data);
    source.connect(ear).connect(this.audio.destination);  // what leads nowhere is not run
  }

  // When the record begins, and its samples, as 16-bit integers in base64.
  recorded() {
    const bytes = this.heard.map(({samples}) => {
      const whole = Int16Array.from(samples, sample => 32767 * Math.max(-1, Math.min(1, sample)));
      return String.fromCharCode(...new Uint8Array(whole.buffer));
    });
    return {at: this.heard[0].at, samples: btoa(bytes.join(''))};
  }

  // The pitch that is heard now, in Hz.
  pitch() {
    if (!this.analyser) {
      const source = this.source();
      this.analyser = this.audio.createAnalyser();
      this.analyser.fftSize = 8192;
      source.connect(this.analyser);
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
