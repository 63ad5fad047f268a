// Five players behind one face: hls.js, shaka-player, dash.js, video.js, and the browser's own.
'use strict';

class Player {
  // The text tracks that have the cues.
  textTracks() { return Array.from(video.textTracks); }
}

class HlsJs extends Player {
  // config: of the player's own, as in the other players.
  async load(url, {bufferSeconds = 60, config = {}} = {}) {
    this.hls = new Hls({maxBufferLength: bufferSeconds, maxMaxBufferLength: bufferSeconds, ...config});
    this.hls.on(Hls.Events.ERROR, (_, data) => {
      const place = data.frag ? `${data.frag.type} ${data.frag.sn} of ${data.frag.level} ` : '';
      const reason = place + (data.error && data.error.message || data.reason || '');
      const name = {
        [Hls.ErrorDetails.BUFFER_STALLED_ERROR]: 'stall',
        [Hls.ErrorDetails.BUFFER_SEEK_OVER_HOLE]: 'gap',
        [Hls.ErrorDetails.INTERNAL_ABORTED]: 'load-aborted',  // by a seek or a switch: no error
        // hls.js reckons with composition offsets but not with the edit list that takes them up; so at 25 fps
        // it takes a segment to end 80 ms later than it does, and wonders when it loads one that it has already.
        [Hls.ErrorDetails.BUFFER_APPEND_NO_PROGRESS]: 'nothing-new',
      }[data.details] || 'player-error';
      watcher.happened(name, `${data.type} ${data.details} ${data.fatal ? 'fatal ' : ''}${reason}`);
    });
    const ready = new Promise((resolve, reject) => {
      this.hls.once(Hls.Events.MANIFEST_PARSED, resolve);
      this.hls.on(Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(`${data.details}`)));
    });
    this.hls.loadSource(url);
    this.hls.attachMedia(video);
    await within(30, ready, 'hls.js: manifest');
    await within(30, firstPicture(), 'hls.js: first picture');
  }

  levels() {
    return this.hls.levels.map((level, id) => ({id, width: level.width, height: level.height,
                                                bandwidth: level.bitrate, codecs: level.codecSet,
                                                range: level.videoRange,
                                                active: id === this.hls.currentLevel}));
  }

  // Only this level from now on; buffered segments of others are played first, unless it is at once.
  setLevel(id, atOnce) {
    if (atOnce) this.hls.currentLevel = id;
    else this.hls.nextLevel = id;
  }

  audios() {
    return this.hls.audioTracks.map((track, id) => ({id, language: track.lang || '', name: track.name,
                                                     channels: track.channels,
                                                     active: id === this.hls.audioTrack}));
  }

  setAudio(id) { this.hls.audioTrack = id; }

  texts() {
    return this.hls.subtitleTracks.map((track, id) => ({id, language: track.lang || '', name: track.name}));
  }

  setText(id) {
    this.hls.subtitleDisplay = true;
    this.hls.subtitleTrack = id;
  }
}

class Shaka extends Player {
  // text: the language of subtitles that are on from the start. shaka-player 5.2 places WebVTT of HLS by the
  // next video segment that it appends: of a film that is buffered whole there is none, and no cue is shown.
  async load(url, {bufferSeconds = 60, text = '', config = {}} = {}) {
    shaka.polyfill.installAll();
    this.player = new shaka.Player();
    this.player.addEventListener('error', event => watcher.happened('player-error', describe(event.detail)));
    this.player.addEventListener('stalldetected', () => watcher.happened('stall'));
    this.player.addEventListener('gapjumped', () => watcher.happened('gap'));
    await this.player.attach(video);
    this.player.configure({
      abr: {enabled: false},
      preferredText: text ? [{language: text}] : [],
      streaming: {bufferingGoal: bufferSeconds, rebufferingGoal: 0.5},
      ...config,
    });
    try {
      await within(30, this.player.load(url), 'shaka: manifest');
      await within(30, firstPicture(), 'shaka: first picture');
    } catch (error) {
      throw new Error(describe(error));
    }
  }

  tracks() {
    return this.player.getVariantTracks();
  }

  levels() {
    const active = this.tracks().find(track => track.active) || this.tracks()[0];
    return this.tracks()
      .filter(track => track.audioId === active.audioId)
      .map(track => ({id: track.id, width: track.width, height: track.height, bandwidth: track.bandwidth,
                      codecs: track.codecs, range: track.hdr || '', active: track.active}))
      .sort((a, b) => a.bandwidth - b.bandwidth);
  }

  setLevel(id, atOnce) {
    this.player.selectVariantTrack(this.tracks().find(track => track.id === id), atOnce, 0);
  }

  audios() {
    return this.player.getAudioTracks().map((track, id) => ({id, language: track.language, name: track.label || '',
                                                             channels: track.channelsCount, active: track.active}));
  }

  setAudio(id) { this.player.selectAudioTrack(this.player.getAudioTracks()[id], 0); }

  texts() {
    return this.player.getTextTracks().map(track => ({id: track.id, language: track.language,
                                                      name: track.label || ''}));
  }

  setText(id) {
    this.player.selectTextTrack(this.player.getTextTracks().find(track => track.id === id));
  }

  // The same, as it finds the storyboard in the playlist or the manifest.
  async tile(seconds) {
    const found = await this.player.getThumbnails(this.player.getImageTracks()[0].id, seconds);
    return {at: found.startTime, duration: found.duration, width: found.width, height: found.height,
            luma: await watcher.cell(found.uris[0], found.positionX, found.positionY, found.width, found.height)};
  }

  // The storyboard's cell for a time, as shaka-player reads the VTT.
  async thumbnail(url, seconds) {
    this.thumbnails = this.thumbnails || await this.player.addThumbnailsTrack(url, 'text/vtt');
    const found = await this.player.getThumbnails(this.thumbnails.id, seconds);
    return {at: found.startTime, duration: found.duration, width: found.width, height: found.height,
            luma: await watcher.cell(found.uris[0], found.positionX, found.positionY, found.width, found.height)};
  }
}

class Native extends Player {
  async load(url) {
    const ready = new Promise((resolve, reject) => {
      video.addEventListener('loadedmetadata', resolve, {once: true});
      video.addEventListener('error', () => reject(new Error(video.error.message)), {once: true});
    });
    video.src = url;
    await within(30, ready, 'native: manifest');
    await within(30, firstPicture(), 'native: first picture');
  }

  texts() {
    return Array.from(video.textTracks, (track, id) => ({id, language: track.language, name: track.label}));
  }

  setText(id) { Array.from(video.textTracks).forEach((t, n) => { t.mode = n === id ? 'showing' : 'disabled'; }); }
}

class DashJs extends Player {
  async load(url, {bufferSeconds = 60} = {}) {
    this.dash = dashjs.MediaPlayer().create();
    this.dash.updateSettings({
      debug: {logLevel: dashjs.Debug.LOG_LEVEL_NONE},
      streaming: {
        abr: {autoSwitchBitrate: {video: false, audio: false}},
        buffer: {bufferTimeDefault: bufferSeconds, bufferTimeAtTopQuality: bufferSeconds,
                 bufferTimeAtTopQualityLongForm: bufferSeconds},
        gaps: {jumpGaps: false},  // it tells nobody when it jumps
        text: {defaultEnabled: false},
      },
    });
    const {ERROR, PLAYBACK_STALLED} = dashjs.MediaPlayer.events;
    this.dash.on(ERROR, ({error}) => watcher.happened('player-error', `${error.code} ${error.message}`));
    this.dash.on(PLAYBACK_STALLED, () => watcher.happened('stall'));
    this.dash.initialize(video, url, false);
    await within(30, firstPicture(), 'dash.js: first picture');
  }

  // The storyboard's cell for a time.
  async tile(seconds) {
    const found = await within(20, new Promise(resolve => this.dash.provideThumbnail(seconds, resolve)), 'thumbnail');
    return {at: `${found.url} ${found.x} ${found.y}`, width: found.width, height: found.height,
            luma: await watcher.cell(found.url, found.x, found.y, found.width, found.height)};
  }

  levels() {
    const active = this.dash.getCurrentRepresentationForType('video');
    return this.dash.getRepresentationsByType('video')
      .map(({id, width, height, bandwidth, codecs}) => ({id, width, height, bandwidth, codecs, active: id === active.id}));
  }

  setLevel(id, atOnce) { this.dash.setRepresentationForTypeById('video', id, atOnce); }

  audios() {
    const active = this.dash.getCurrentTrackFor('audio');
    return this.dash.getTracksFor('audio').map((track, id) => ({id, language: track.lang, active: track === active}));
  }

  setAudio(id) { this.dash.setCurrentTrack(this.dash.getTracksFor('audio')[id]); }

  texts() { return this.dash.getTracksFor('text').map((track, id) => ({id, language: track.lang})); }

  // A film that is buffered whole loads nothing more, also no subtitles, before there is a seek.
  async setText(id) {
    this.dash.setTextTrack(id);
    const nudge = setInterval(() => { video.currentTime = video.currentTime; }, 500);
    try {
      await within(20, loaded(() => cues().length), 'dash.js: subtitles');
    } finally {
      clearInterval(nudge);
    }
    await within(20, loaded(() => !video.seeking), 'dash.js: seek');
  }
}

// The engine of video.js in place of the browser's, and text tracks of its own making.
class VideoJs extends Player {
  async load(url, {bufferSeconds = 60} = {}) {
    videojs.log.level('off');
    Object.assign(videojs.Vhs, {GOAL_BUFFER_LENGTH: bufferSeconds, MAX_GOAL_BUFFER_LENGTH: bufferSeconds});
    const vhs = {overrideNative: true, useBandwidthFromLocalStorage: false};
    this.player = videojs(video, {controls: false, html5: {vhs, nativeAudioTracks: false, nativeVideoTracks: false}});
    // A change of rendition stops the sound's loader, and while the player is paused nothing starts it again: a seek
    // to where only pictures are loaded then waits for ever (videojs/http-streaming#752, #183; of plain ffmpeg's
    // HLS too, but not of a single rendition). So the first choice stays, until a test makes another.
    this.player.one('loadstart', () => {
      const choose = this.vhs().selectPlaylist;
      let choice;
      this.vhs().selectPlaylist = () => choice = choice || this.vhs().playlists.media() || choose();
    });
    this.player.on('error', () => watcher.happened('player-error', this.player.error().message));
    this.player.src({src: url, type: url.endsWith('.mpd') ? 'application/dash+xml' : 'application/x-mpegURL'});
    await within(30, firstPicture(), 'video.js: first picture');
  }

  vhs() { return this.player.tech(true).vhs; }

  levels() {
    const active = this.vhs().playlists.media().id;
    return this.vhs().representations().map(({id, width, height, bandwidth, codecs}) =>
      ({id, width, height, bandwidth, codecs, active: id === active}));
  }

  setLevel(id, atOnce) {
    const playlist = this.vhs().playlists.main.playlists.find(playlist => playlist.id === id);
    this.vhs().selectPlaylist = () => playlist;
    if (atOnce) {
      // Only what was disabled is enabled at once.
      this.vhs().representations().forEach(level => level.enabled(false));
      this.vhs().representations().find(level => level.id === id).enabled(true);
    } else {
      this.vhs().playlists.media(playlist);
    }
  }

  audios() {
    return Array.from(this.player.audioTracks(), (track, id) => ({id, language: track.language, name: track.label,
                                                                  active: track.enabled}));
  }

  setAudio(id) { Array.from(this.player.audioTracks()).forEach((track, n) => { track.enabled = n === id; }); }

  textTracks() { return Array.from(this.player.textTracks()).filter(track => track.kind === 'subtitles'); }

  texts() { return this.textTracks().map((track, id) => ({id, language: track.language, name: track.label})); }

  setText(id) { this.textTracks().forEach((track, n) => { track.mode = n === id ? 'showing' : 'disabled'; }); }
}

const firstPicture = () => loaded(() => video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA);

async function loaded(condition) {
  while (!condition()) await sleep(20);
}

function describe(error) {
  if (!(error instanceof shaka.util.Error)) return String(error);
  const named = (kind, value) => Object.entries(kind).find(([, number]) => number === value)?.[0];
  return `${named(shaka.util.Error.Category, error.category)}.${named(shaka.util.Error.Code, error.code)} `
    + JSON.stringify(error.data, (key, value) => value instanceof ArrayBuffer ? '...' : value);
}

// The cues of the text tracks that are shown.
function cues() {
  return player.textTracks()
    .filter(track => track.mode === 'showing')
    .flatMap(track => Array.from(track.cues || [], cue => ({start: cue.startTime, end: cue.endTime, text: cue.text})));
}

function activeCues() {
  return player.textTracks()
    .filter(track => track.mode === 'showing')
    .flatMap(track => Array.from(track.activeCues || [], cue => cue.text));
}

const players = {'hls.js': HlsJs, 'shaka': Shaka, 'dash.js': DashJs, 'video.js': VideoJs, 'native': Native};
const player = new players[new URLSearchParams(location.search).get('player')]();
