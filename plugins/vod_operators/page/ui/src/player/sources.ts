import { mediaAddress } from "../api";
import type { Video } from "../types";

/**
 * Where a playlist of a video can be played from: the first edge, as its viewers do, then Airflow's own proxy.
 *
 * `playlist` is relative to the video, of whichever version.
 */
export function sourcesOf(video: Video, playlist: string): string[] {
  const edge = video.urls.find(({ place, hls }) => place !== "results" && /^https?:/.test(hls));
  const proxy = mediaAddress(video.video_id, playlist);
  return edge ? [new URL(playlist, edge.hls).href, proxy] : [proxy];
}
