// The page of one video with hls.js: menus of quality, sound and subtitles, and thumbnails while scrubbing.
'use strict';

const video = document.querySelector('video');
const menus = document.querySelector('#menus');

function menu(title, options, chosen, choose) {
  if (options.length < 2) return null;
  const label = menus.appendChild(document.createElement('label'));
  const select = document.createElement('select');
  label.append(title + ' ', select);
  for (const [value, text] of options) select.add(new Option(text, value));
  select.value = chosen;
  select.onchange = () => choose(Number(select.value));
  return select;
}

function play(hls) {
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal) menus.textContent = `${data.type}: ${data.details}`;
  });
  hls.once(Hls.Events.MANIFEST_PARSED, () => {
    // hls.js may list a rendition once for each group of sound tracks; the menu shows only the first.
    const seen = new Set();
    const levels = hls.levels
      .map((level, id) => [id, `${level.height}p, ${Math.round(level.bitrate / 1000)} kbit/s, ${level.codecSet}`, level])
      .filter(([, , level]) => !seen.has(level.uri) && seen.add(level.uri));
    const quality = menu('Quality', [[-1, 'automatic'], ...levels], -1, id => { hls.nextLevel = id; });
    if (quality) {
      hls.on(Hls.Events.LEVEL_SWITCHED, (_, {level}) => {
        quality.options[0].text = `automatic (${hls.levels[level].height}p)`;
      });
    }
  });
  // Tracks are known before hls.js has chosen one, and subtitles can also be chosen in the video's own menu.
  hls.once(Hls.Events.AUDIO_TRACKS_UPDATED, (_, {audioTracks}) => {
    const sound = menu('Sound', audioTracks.map((track, id) => [id, track.name]), Math.max(0, hls.audioTrack),
      id => { hls.audioTrack = id; });
    if (sound) hls.on(Hls.Events.AUDIO_TRACK_SWITCHING, () => { sound.value = hls.audioTrack; });
  });
  hls.once(Hls.Events.SUBTITLE_TRACKS_UPDATED, (_, {subtitleTracks}) => {
    const tracks = subtitleTracks.map((track, id) => [id, track.name]);
    const subtitles = menu('Subtitles', [[-1, 'off'], ...tracks], hls.subtitleTrack, id => {
      hls.subtitleDisplay = id >= 0;
      hls.subtitleTrack = id;
    });
    if (subtitles) hls.on(Hls.Events.SUBTITLE_TRACK_SWITCH, () => { subtitles.value = hls.subtitleTrack; });
  });
  hls.loadSource(video.dataset.playlist);
  hls.attachMedia(video);
}

// Thumbnails in WebVTT: each cue is "IMAGE#xywh=X,Y,W,H" for its time.
function scrub(bar, url) {
  const preview = bar.querySelector('#preview');
  const track = video.appendChild(document.createElement('track'));
  Object.assign(track, {kind: 'metadata', src: url});
  track.track.mode = 'hidden';
  bar.hidden = false;
  const timeAt = event => event.offsetX / bar.clientWidth * video.duration;
  video.addEventListener('timeupdate', () => {
    bar.style.setProperty('--done', `${100 * video.currentTime / video.duration}%`);
  });
  bar.onclick = event => { video.currentTime = timeAt(event); };
  bar.onpointerleave = () => { preview.hidden = true; };
  bar.onpointermove = event => {
    const time = timeAt(event);
    const cue = Array.from(track.track.cues || []).find(cue => cue.startTime <= time && time < cue.endTime);
    const place = cue && /^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$/.exec(cue.text.trim());
    preview.hidden = !place;
    if (!place) return;
    const [, image, x, y, width, height] = place;
    Object.assign(preview.style, {
      width: `${width}px`,
      height: `${height}px`,
      left: `${Math.min(Math.max(event.offsetX - width / 2, 0), bar.clientWidth - width)}px`,
      background: `url("${new URL(image, new URL(url, location.href))}") -${x}px -${y}px`,
    });
  };
}

if (Hls.isSupported()) play(new Hls());
else video.src = video.dataset.playlist;
const bar = document.querySelector('#scrub');
if (bar.dataset.storyboard) scrub(bar, bar.dataset.storyboard);
