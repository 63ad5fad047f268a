import { Box, Flex, Heading } from "@chakra-ui/react";
import { type ReactNode, useId } from "react";

/** For a table in a flush card: its text begins and ends where the title does. */
export const FLUSH = {
  "& :is(th, td):first-of-type": { paddingInlineStart: "4" },
  "& :is(th, td):last-of-type": { paddingInlineEnd: "4" },
};

/** A titled part of a page. */
export function Card({
  title,
  aside,
  flush = false,
  children,
}: {
  title: string;
  aside?: ReactNode;
  /** Without padding, for tables. */
  flush?: boolean;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <Box
      aria-labelledby={id}
      as="section"
      bg="bg"
      borderColor="border"
      borderRadius="md"
      borderWidth="1px"
      minW={0}
      overflow="hidden"
    >
      <Flex
        align="center"
        borderBottomWidth="1px"
        borderColor="border"
        gap={2}
        justify="space-between"
        minH={10}
        px={4}
        py={2}
        wrap="wrap"
      >
        <Heading as="h2" id={id} size="sm">
          {title}
        </Heading>
        {aside}
      </Flex>
      <Box p={flush ? 0 : 4}>{children}</Box>
    </Box>
  );
}
