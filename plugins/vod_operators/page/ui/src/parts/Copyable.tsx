import { chakra, Flex, IconButton, Text } from "@chakra-ui/react";
import { useState } from "react";

import { CheckIcon, CopyIcon } from "./icons";

/** Copy where the page is no secure context, too: Airflow is often plain HTTP inside a company. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [copied, setCopied] = useState(false);
  const act = async (): Promise<void> => {
    await copy(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <>
      <IconButton
        aria-label={`Copy ${what}`}
        onClick={() => void act()}
        size="2xs"
        title={`Copy ${what}`}
        variant="ghost"
      >
        {copied ? <CheckIcon /> : <CopyIcon />}
      </IconButton>
      <chakra.span aria-live="polite" srOnly>
        {copied ? `Copied ${what}` : ""}
      </chakra.span>
    </>
  );
}

/** A line of text to copy. */
export function Copyable({ label, text }: { label: string; text: string }) {
  return (
    <Flex align="center" borderColor="border" borderRadius="sm" borderWidth="1px" gap={2} minW={0} pl={2} pr={1} py={1}>
      <Text color="fg.muted" flexShrink={0} fontSize="xs" minW={14}>
        {label}
      </Text>
      <Text flex="1" fontFamily="mono" fontSize="xs" minW={0} title={text} truncate>
        {text}
      </Text>
      <CopyButton text={text} what={label} />
    </Flex>
  );
}
