import { useEffect } from "react";

/** Name the browser's tab, and give it back its name afterwards. */
export function useTitle(title: string): void {
  useEffect(() => {
    const before = document.title;
    document.title = title;
    return () => {
      document.title = before;
    };
  }, [title]);
}
