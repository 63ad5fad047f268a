import { Button, Code, Dialog, Field, Input, Portal } from "@chakra-ui/react";
import { type ReactNode, useEffect, useState } from "react";

import { useAttempt } from "../attempt";
import { Notice } from "./Notice";

export interface Question {
  title: string;
  text: ReactNode;
  /** What the button says. */
  verb: string;
  danger?: boolean;
  /** A word that has to be typed first. */
  typed?: string;
  act: () => Promise<void>;
}

/** Asks before something is done; stays open, with the reason, if it fails. */
export function Confirm({ question, close }: { question: Question | null; close: () => void }) {
  const [text, setText] = useState("");
  const { busy, error, run, reset } = useAttempt();
  useEffect(() => {
    setText("");
    reset();
  }, [question, reset]);

  const act = async (): Promise<void> => {
    if (question && (await run(question.act))) close();
  };

  return (
    <Dialog.Root
      lazyMount
      onOpenChange={({ open }) => open || busy || close()}
      open={question !== null}
      placement="center"
      role="alertdialog"
      size="sm"
      unmountOnExit
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner>
          <Dialog.Content mx={4}>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                void act();
              }}
            >
              <Dialog.Header>
                <Dialog.Title>{question?.title}</Dialog.Title>
              </Dialog.Header>
              <Dialog.Body display="flex" flexDirection="column" gap={4}>
                <div>{question?.text}</div>
                {question?.typed ? (
                  <Field.Root>
                    <Field.Label>
                      <span>
                        Type <Code overflowWrap="anywhere">{question.typed}</Code> to confirm
                      </span>
                    </Field.Label>
                    <Input
                      autoComplete="off"
                      onChange={(event) => setText(event.target.value)}
                      spellCheck={false}
                      value={text}
                    />
                  </Field.Root>
                ) : null}
                {error ? <Notice title={error} tone="error" /> : null}
              </Dialog.Body>
              <Dialog.Footer>
                <Button disabled={busy} onClick={close} variant="outline">
                  Keep as it is
                </Button>
                <Button
                  colorPalette={question?.danger ? "danger" : "brand"}
                  disabled={question?.typed !== undefined && text !== question.typed}
                  loading={busy}
                  type="submit"
                >
                  {question?.verb}
                </Button>
              </Dialog.Footer>
            </form>
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}
