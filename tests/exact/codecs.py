"""Encoders of sources."""

from __future__ import annotations

H264 = ("-c:v", "libx264", "-preset", "ultrafast")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params")
X265 = "keyint=40:min-keyint=40:scenecut=0:bframes=4:log-level=error:open-gop="
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "40", "-auto-alt-ref", "1", "-lag-in-frames", "16")
SVT_AV1 = ("-c:v", "libsvtav1", "-preset", "10", "-crf", "12", "-g", "40")
AOM_AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-g", "40", "-lag-in-frames", "16")
MPEG2 = ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-g", "12")
MPEG4 = ("-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-g", "20")
