import { createContext, useContext } from "react";

import type { Me } from "./types";

export const MeContext = createContext<Me | null>(null);

/** Who looks at the page, and what they may do. */
export function useMe(): Me {
  const me = useContext(MeContext);
  if (me === null) throw new Error("useMe outside of the page");
  return me;
}
