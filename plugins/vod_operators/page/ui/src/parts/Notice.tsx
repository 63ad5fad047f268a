import { Box, Button, Flex, Text } from "@chakra-ui/react";
import type { ReactNode } from "react";

import { address, ApiError } from "../api";
import { CheckIcon, WarningIcon } from "./icons";

/** A sentence that asks for attention, with what can be done about it. */
export function Notice({
  tone,
  title,
  children,
  action,
}: {
  tone: "error" | "warning" | "info" | "success";
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Flex
      align="flex-start"
      bg={`${tone}.subtle`}
      borderColor={`${tone}.muted`}
      borderRadius="md"
      borderWidth="1px"
      color="fg"
      gap={3}
      px={4}
      py={3}
      role={tone === "error" ? "alert" : "status"}
      wrap={{ base: "wrap", sm: "nowrap" }}
    >
      <Box color={`${tone}.fg`} pt={0.5}>
        {tone === "success" ? <CheckIcon size="1.1em" /> : <WarningIcon size="1.1em" />}
      </Box>
      <Box flex="1" minW={0}>
        <Text fontSize="sm" fontWeight="semibold">
          {title}
        </Text>
        {children ? (
          <Box fontSize="sm" overflowWrap="anywhere">
            {children}
          </Box>
        ) : null}
      </Box>
      {action}
    </Flex>
  );
}

/** Why something could not be read, and the way out. */
export function Problem({ error, retry }: { error: Error; retry?: () => void }) {
  const status = error instanceof ApiError ? error.status : null;
  const signIn = address(`api/v2/auth/login?next=${encodeURIComponent(location.href)}`);
  let action: ReactNode = null;
  if (status === 401) {
    action = (
      <Button asChild size="xs" variant="outline">
        <a href={signIn}>Sign in</a>
      </Button>
    );
  } else if (retry && status !== 403 && status !== 404) {
    action = (
      <Button onClick={retry} size="xs" variant="outline">
        Try again
      </Button>
    );
  }
  return <Notice action={action} title={error.message} tone="error" />;
}

/** What stands where there is nothing yet. */
export function Empty({ icon, title, children }: { icon: ReactNode; title: string; children?: ReactNode }) {
  return (
    <Flex align="center" color="fg.muted" direction="column" gap={2} px={4} py={14} textAlign="center">
      <Box fontSize="4xl">{icon}</Box>
      <Text color="fg" fontWeight="semibold">
        {title}
      </Text>
      {children}
    </Flex>
  );
}
