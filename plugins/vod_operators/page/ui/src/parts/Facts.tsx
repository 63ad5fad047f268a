import { chakra } from "@chakra-ui/react";
import { Fragment, type ReactNode } from "react";

/** Pairs of name and value; pairs without a value are left out. */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <chakra.dl columnGap={4} display="grid" fontSize="sm" gridTemplateColumns="max-content minmax(0, 1fr)" rowGap={1.5}>
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <Fragment key={name}>
            <chakra.dt color="fg.muted">{name}</chakra.dt>
            <chakra.dd overflowWrap="anywhere">{value}</chakra.dd>
          </Fragment>
        ))}
    </chakra.dl>
  );
}
