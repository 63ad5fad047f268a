// Calls of the page's own API, which reads, and of Airflow's, which changes. Both know the user by Airflow's cookie.

import type { Bitrates, Me, Video, VideoList, VideoResult, Work } from "./types";

/** An answer that is not a success; its message can be shown. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An address below Airflow's base, which may be a folder of the host. */
export const address = (path: string): string => new URL(path, document.baseURI).href;

/** The address of a file of a video, from the results store; `path` is relative to the video. */
export const mediaAddress = (videoId: string, path: string): string =>
  address(`vod/media/${encodeURIComponent(videoId)}/${path}`);

function messageOf(status: number, body: unknown): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) {
    const texts = detail.map((item) => (item as { msg?: string }).msg).filter(Boolean);
    if (texts.length) return texts.join("; ");
  }
  if (status === 401) return "Your session has ended. Sign in to Airflow again.";
  if (status === 403) return "Airflow does not let you do this.";
  if (status === 404) return "There is nothing here by that name.";
  return `Airflow answered with status ${status}.`;
}

export async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  const headers = new Headers(init.headers);
  headers.set("X-Requested-With", "vod");
  let response: Response;
  try {
    response = await fetch(address(path), { ...init, headers, credentials: "same-origin" });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new ApiError(0, "Airflow cannot be reached.");
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, messageOf(response.status, body));
  return body as T;
}

const send = <T>(method: string, path: string, body: unknown): Promise<T> =>
  call<T>(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

const part = encodeURIComponent;

export const readMe = (signal?: AbortSignal) => call<Me>("vod/api/me", { signal });
export const readVideos = (query: string, signal?: AbortSignal) =>
  call<VideoList>(`vod/api/videos?${query}`, { signal });
export const readVideo = (videoId: string, signal?: AbortSignal) =>
  call<Video>(`vod/api/videos/${part(videoId)}`, { signal });
export const readBitrates = (videoId: string, version: string, signal?: AbortSignal) =>
  call<Bitrates>(`vod/api/videos/${part(videoId)}/bitrates?version=${part(version)}`, { signal });
/** A version's own video.json. */
export const readResult = (videoId: string, version: string, signal?: AbortSignal) =>
  call<VideoResult>(`vod/media/${part(videoId)}/${part(version)}/video.json`, { signal });
export const readWork = (dagId: string, runId: string, signal?: AbortSignal) =>
  call<Work>(`vod/api/runs/${part(dagId)}/${part(runId)}`, { signal });

export const TRANSCODE = "vod_transcode";
export const MANAGE = "vod_manage";

export interface StartedRun {
  dag_id: string;
  dag_run_id: string;
}

const runId = (videoId: string, what: string): string => `vod.${videoId}.${what}.${new Date().toISOString()}`;

const trigger = (dagId: string, id: string, conf: Record<string, unknown>): Promise<StartedRun> =>
  send("POST", `api/v2/dags/${dagId}/dagRuns`, { dag_run_id: id, logical_date: null, conf });

/** Start encoding; the run's id names the video and the preset. */
export const encode = (conf: Record<string, unknown>): Promise<StartedRun> =>
  trigger(TRANSCODE, runId(String(conf.video_id), String(conf.preset)), conf);

/** Start a run that only estimates what encoding will take. */
export const estimate = (conf: Record<string, unknown>): Promise<StartedRun> =>
  trigger(TRANSCODE, runId(String(conf.video_id), "estimate"), { ...conf, estimate: true });

export type ManageAction = "verify" | "repair" | "rollback" | "delete";

export const manage = (
  action: ManageAction,
  videoId: string,
  more: { version?: string; confirm?: string } = {},
): Promise<StartedRun> => trigger(MANAGE, runId(videoId, action), { action, video_id: videoId, ...more });

const runPath = (dagId: string, id: string): string => `api/v2/dags/${part(dagId)}/dagRuns/${part(id)}`;

/** Clear all tasks of a run: each finds what it had finished, and the last one must run once more. */
export const resume = (dagId: string, id: string): Promise<unknown> =>
  send("POST", `${runPath(dagId, id)}/clear`, { dry_run: false, only_failed: false });

export const cancel = (dagId: string, id: string): Promise<unknown> =>
  send("PATCH", `${runPath(dagId, id)}?update_mask=state`, { state: "failed" });

/** A run's state, as Airflow names it, and its note, where runs of `vod_manage` tell their outcome. */
export const readRun = (dagId: string, id: string, signal?: AbortSignal) =>
  call<{ state: string; note: string | null; conf: { video_id?: unknown } | null }>(runPath(dagId, id), { signal });
