// Icons of 24 x 24, drawn with strokes, as Airflow's are.
import { chakra } from "@chakra-ui/react";
import type { ReactNode } from "react";

const icon = (children: ReactNode, filled = false) =>
  function Icon({ size = "1em" }: { size?: string }) {
    return (
      <chakra.svg
        aria-hidden="true"
        boxSize={size}
        fill={filled ? "currentColor" : "none"}
        flexShrink={0}
        focusable="false"
        stroke={filled ? "none" : "currentColor"}
        strokeLinecap="round"
        strokeLinejoin="round"
        strokeWidth="2"
        viewBox="0 0 24 24"
      >
        {children}
      </chakra.svg>
    );
  };

export const PlayIcon = icon(
  <path d="M7 4.5v15a.6.6 0 0 0 .92.5l11.6-7.5a.6.6 0 0 0 0-1L7.92 4a.6.6 0 0 0-.92.5Z" />,
  true,
);
export const PauseIcon = icon(<path d="M6 4h4v16H6zM14 4h4v16h-4z" />, true);
export const SoundIcon = icon(<path d="M11 5 6 9H3v6h3l5 4ZM15.5 9a4.2 4.2 0 0 1 0 6M18.4 6.2a8.2 8.2 0 0 1 0 11.6" />);
export const MuteIcon = icon(<path d="M11 5 6 9H3v6h3l5 4ZM16 9.5l5 5M21 9.5l-5 5" />);
export const LevelsIcon = icon(<path d="M4 20v-5M10 20V10M16 20V6M22 20V3" />);
export const CaptionsIcon = icon(
  <path d="M3 5h18v14H3zM10.5 10.2a2.2 2.2 0 1 0 0 3.6M17.5 10.2a2.2 2.2 0 1 0 0 3.6" />,
);
export const SpeakerIcon = icon(
  <path d="M9 18V6l11-2v12M9 18a3 3 0 1 1-3-3 3 3 0 0 1 3 3ZM20 16a3 3 0 1 1-3-3 3 3 0 0 1 3 3Z" />,
);
export const SpeedIcon = icon(<path d="M12 14l4-5M5.6 19a9 9 0 1 1 12.8 0" />);
export const FullscreenIcon = icon(<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5" />);
export const SearchIcon = icon(<path d="M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM20 20l-4.8-4.8" />);
export const PlusIcon = icon(<path d="M12 5v14M5 12h14" />);
export const CopyIcon = icon(<path d="M9 9h11v11H9zM15 9V4H4v11h5" />);
export const CheckIcon = icon(<path d="m5 12.5 4.5 4.5L19 7" />);
export const WarningIcon = icon(<path d="M12 4 2.8 20h18.4ZM12 10v4.5M12 17.4v.1" />);
export const MoreIcon = icon(<path d="M5 12v.01M12 12v.01M19 12v.01" />);
export const FilmIcon = icon(<path d="M4 4h16v16H4zM8 4v16M16 4v16M4 9h4M4 15h4M16 9h4M16 15h4M8 12h8" />);
export const UpIcon = icon(<path d="M12 19V5M6 11l6-6 6 6" />);
export const DownIcon = icon(<path d="M12 5v14M6 13l6 6 6-6" />);
export const LeftIcon = icon(<path d="m15 5-7 7 7 7" />);
export const RightIcon = icon(<path d="m9 5 7 7-7 7" />);
export const CloseIcon = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const UploadIcon = icon(<path d="M12 15V4M7 9l5-5 5 5M4 15v5h16v-5" />);
export const CompareIcon = icon(<path d="M3 5h8v14H3zM13 5h8v14h-8z" />);
