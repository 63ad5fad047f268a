import { Box } from "@chakra-ui/react";

/** How much is done, as a bar that screen readers read. */
export function Bar({
  value,
  label,
  palette = "running",
  size = 1.5,
}: {
  value: number | null;
  label: string;
  palette?: string;
  size?: number;
}) {
  return (
    <Box
      aria-label={label}
      aria-valuemax={100}
      aria-valuemin={0}
      aria-valuenow={value === null ? undefined : Math.floor(value)}
      bg="bg.emphasized"
      borderRadius="full"
      h={size}
      overflow="hidden"
      role="progressbar"
      w="full"
    >
      <Box
        bg={`${palette}.solid`}
        borderRadius="full"
        h="full"
        style={{ width: `${value ?? 0}%` }}
        transition="width 0.6s"
      />
    </Box>
  );
}
