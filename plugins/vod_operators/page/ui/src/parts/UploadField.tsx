import { Box, Button, Flex, Stack, Text, VisuallyHidden } from "@chakra-ui/react";
import { type DragEvent, useEffect, useRef, useState } from "react";

import { useAttempt } from "../attempt";
import { bytes, percent } from "../format";
import { giveUp, type OpenUpload, openUploads, upload } from "../uploads";
import { Bar } from "./Bar";
import { CheckIcon, UploadIcon } from "./icons";
import { Notice } from "./Notice";

interface Props {
  busy: (busy: boolean) => void;
  /** The file is there, under this URI. */
  uploaded: (uri: string) => void;
}

/** Uploads that a reload of the page, or a broken line, has stopped: a page cannot open their files again by itself. */
function Open() {
  const { busy, error, run } = useAttempt();
  const [open, setOpen] = useState<OpenUpload[]>([]);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    void openUploads(abort.signal).then((found) => abort.signal.aborted || setOpen(found));
    return () => abort.abort();
  }, [turn]);

  if (!open.length) {
    return (
      <Text color="fg.muted" fontSize="xs">
        A broken upload goes on where it stopped when the same file is chosen again.
      </Text>
    );
  }
  return (
    <Stack as="ul" fontSize="xs" gap={1} listStyleType="none">
      {open.map((one) => (
        <Flex align="center" as="li" gap={2} justify="center" key={one.key} wrap="wrap">
          <Text minW={0} overflowWrap="anywhere">
            <strong>{one.name}</strong>: {bytes(one.sent)} of {bytes(one.size)} are there. Choose the same file to go
            on.
          </Text>
          <Button
            aria-label={`Give up the upload of ${one.name}`}
            loading={busy}
            onClick={() => void run(() => giveUp(one)).then(() => setTurn((old) => old + 1))}
            size="2xs"
            variant="outline"
          >
            Give up
          </Button>
        </Flex>
      ))}
      {error ? <Notice title={error} tone="error" /> : null}
    </Stack>
  );
}

/** A file to upload, chosen or dropped, with its progress. */
export function UploadField({ busy, uploaded }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const abort = useRef<AbortController | null>(null);
  const [file, setFile] = useState<File | null>(null);
  const [sent, setSent] = useState(0);
  const [state, setState] = useState<"empty" | "sending" | "stopped" | "there">("empty");
  const [error, setError] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  useEffect(() => () => abort.current?.abort(), []);

  const send = async (chosen: File): Promise<void> => {
    const own = new AbortController();
    abort.current = own;
    setFile(chosen);
    setSent(0);
    setError(null);
    setState("sending");
    busy(true);
    try {
      uploaded(await upload(chosen, own.signal, setSent));
      setState("there");
    } catch (reason) {
      if (!own.signal.aborted) setError((reason as Error).message);
      setState("stopped");
    } finally {
      busy(false);
    }
  };
  const drop = (event: DragEvent<HTMLDivElement>): void => {
    event.preventDefault();
    setOver(false);
    const dropped = event.dataTransfer.files[0];
    if (dropped && state !== "sending") void send(dropped);
  };
  const done = file?.size ? (sent / file.size) * 100 : 0;

  return (
    <Box>
      <Flex
        align="center"
        bg={over ? "brand.subtle" : "bg.subtle"}
        borderColor={over ? "brand.solid" : "border.emphasized"}
        borderRadius="md"
        borderStyle="dashed"
        borderWidth="1px"
        direction="column"
        gap={2}
        onDragLeave={() => setOver(false)}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDrop={drop}
        px={4}
        py={5}
        textAlign="center"
      >
        <VisuallyHidden>
          <input
            aria-label="File to upload"
            onChange={(event) => {
              const chosen = event.target.files?.[0];
              event.target.value = "";
              if (chosen) void send(chosen);
            }}
            ref={input}
            tabIndex={-1}
            type="file"
          />
        </VisuallyHidden>
        {state === "empty" || file === null ? (
          <>
            <Box color="fg.muted" fontSize="2xl">
              <UploadIcon />
            </Box>
            <Text fontSize="sm">Drop a video here, or</Text>
            <Button onClick={() => input.current?.click()} size="sm" variant="outline">
              Choose a file
            </Button>
            <Open />
          </>
        ) : (
          <>
            <Text fontSize="sm" fontWeight="semibold" overflowWrap="anywhere">
              {file.name}
            </Text>
            <Bar
              label={`Upload of ${file.name}`}
              palette={state === "there" ? "success" : state === "stopped" ? "failed" : "running"}
              value={done}
            />
            <Text color="fg.muted" fontSize="xs" fontVariantNumeric="tabular-nums">
              {state === "there" ? "Uploaded" : `${bytes(sent)} of ${bytes(file.size)}, ${percent(done)}`}
              {state === "stopped" ? ", stopped" : ""}
            </Text>
            <Flex gap={2}>
              {state === "sending" ? (
                <Button onClick={() => abort.current?.abort()} size="xs" variant="outline">
                  Stop
                </Button>
              ) : (
                <>
                  {state === "there" ? (
                    <Box alignSelf="center" color="success.fg">
                      <CheckIcon />
                    </Box>
                  ) : (
                    <Button onClick={() => void send(file)} size="xs">
                      Go on
                    </Button>
                  )}
                  <Button onClick={() => input.current?.click()} size="xs" variant="outline">
                    Another file
                  </Button>
                </>
              )}
            </Flex>
          </>
        )}
      </Flex>
      <VisuallyHidden aria-live="polite">
        {state === "there" ? "Uploaded" : state === "sending" ? `${Math.floor(done / 10) * 10} percent uploaded` : ""}
      </VisuallyHidden>
      {error ? (
        <Box mt={2}>
          <Notice title={error} tone="error" />
        </Box>
      ) : null}
    </Box>
  );
}
