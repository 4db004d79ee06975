package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Queue;
import org.jline.terminal.Attributes;
import org.jline.terminal.Attributes.LocalFlag;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.impl.ExternalTerminal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Line editing, pasting, history and signals, on terminals whose keys the test presses. */
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TerminalPromptTest {
  private static final String ENTER = "\r";
  private static final String CTRL_D = "\004";
  private static final String UP = "\033OA";
  private static final String LEFT = "\033OD";
  private static final String ALT_ENTER = "\033\r";

  @TempDir Path directory;

  private final EchoTalk conversation = new EchoTalk();
  private final ByteArrayOutputStream answers = new ByteArrayOutputStream();
  private final ByteArrayOutputStream notes = new ByteArrayOutputStream();

  /** Chats on a terminal; each time a message is read, the next of these is typed. */
  private String chat(String type, String... typed) throws IOException {
    ByteArrayOutputStream screen = new ByteArrayOutputStream();
    try (PipedOutputStream keys = new PipedOutputStream()) {
      Terminal terminal =
          new ExternalTerminal("test", type, new PipedInputStream(keys, 1 << 16), screen, UTF_8);
      conversation.beforeWord =
          () -> {
            if (answers.toString(UTF_8).equals("stop ")) {
              terminal.raise(Signal.INT);
            }
          };
      try (Prompt prompt = new TerminalPrompt(terminal, TerminalPrompt.historyIn(directory))) {
        new ChatLoop(
                conversation,
                new Typist(prompt, keys, typed),
                new AnswerStream(
                    new PrintStream(answers, true, UTF_8),
                    new PrintStream(notes, true, UTF_8),
                    true),
                new PrintStream(notes, true, UTF_8))
            .run();
      }
      return screen.toString(UTF_8);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"xterm", "dumb"})
  void aConversation(String type) throws IOException {
    String screen = chat(type, "Grüezi" + ENTER, "/clear" + ENTER, "two words" + ENTER, CTRL_D);
    assertThat(conversation.log).containsExactly("Grüezi", "[clear]", "two words");
    assertThat(answers.toString(UTF_8)).isEqualTo("Grüezi\ntwo words\n");
    assertThat(screen).contains("> ").contains("Grüezi");
  }

  @Test
  void editing() throws IOException {
    chat("xterm", "wrds" + LEFT.repeat(3) + "o" + ENTER, "a!b $x 'q \\ y" + ENTER, CTRL_D);
    assertThat(conversation.log).containsExactly("words", "a!b $x 'q \\ y");
  }

  @Test
  void severalLines() throws IOException {
    chat(
        "xterm",
        "\033[200~one\ntwo\033[201~" + ENTER,
        "three" + ALT_ENTER + "four" + ENTER,
        "five\\" + ENTER + "six" + ENTER,
        "\"\"\"" + ENTER + "seven" + ENTER + "\"\"\"" + ENTER,
        CTRL_D);
    assertThat(conversation.log).containsExactly("one\ntwo", "three\nfour", "five\nsix", "seven");
  }

  @Test
  void controlCStopsTheAnswerAndNotTheChat() throws IOException {
    chat("xterm", "stop me" + ENTER, "go" + ENTER, CTRL_D);
    assertThat(answers.toString(UTF_8)).startsWith("stop \n");
    assertThat(notes.toString(UTF_8)).startsWith("[stopped]");
    assertThat(conversation.log).containsExactly("stop me", "go");
  }

  /**
   * A terminal that collects lines itself would swallow a Ctrl-D that is typed while an answer
   * comes; Ctrl-C must stay a signal.
   */
  @Test
  void keysTypedDuringAnAnswerWaitAsTheyAre() throws IOException {
    try (PipedOutputStream keys = new PipedOutputStream()) {
      Deque<Attributes> set = new ArrayDeque<>();
      Terminal terminal =
          new ExternalTerminal(
              "test", "xterm", new PipedInputStream(keys), new ByteArrayOutputStream(), UTF_8) {
            @Override
            public void setAttributes(Attributes attributes) {
              set.add(new Attributes(attributes));
              super.setAttributes(attributes);
            }
          };
      Attributes before = terminal.getAttributes();
      before.setLocalFlags(EnumSet.of(LocalFlag.ICANON, LocalFlag.ISIG, LocalFlag.ECHO), true);
      terminal.setAttributes(before);
      conversation.beforeWord =
          () -> {
            Attributes now = terminal.getAttributes();
            assertThat(now.getLocalFlag(LocalFlag.ICANON)).isFalse();
            assertThat(now.getLocalFlag(LocalFlag.ECHO)).isFalse();
            assertThat(now.getLocalFlag(LocalFlag.ISIG)).isTrue();
            try {
              keys.write(CTRL_D.getBytes(UTF_8));
              keys.flush();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          };
      try (Prompt prompt = new TerminalPrompt(terminal, null)) {
        new ChatLoop(
                conversation,
                new Typist(prompt, keys, "word" + ENTER),
                new AnswerStream(
                    new PrintStream(answers, true, UTF_8),
                    new PrintStream(notes, true, UTF_8),
                    true),
                new PrintStream(notes, true, UTF_8))
            .run();
        assertThat(conversation.log).containsExactly("word");
      }
      assertThat(set.getLast().getLocalFlags()).isEqualTo(before.getLocalFlags());
      assertThat(set.getLast().getInputFlags()).isEqualTo(before.getInputFlags());
    }
  }

  @Test
  void historyOutlivesTheProgram() throws IOException {
    chat("xterm", "first" + ENTER, " private" + ENTER, CTRL_D);
    chat("xterm", UP + ENTER, CTRL_D);
    assertThat(conversation.log).containsExactly("first", "private", "first");
    Path history = directory.resolve("history");
    assertThat(Files.readString(history)).contains("first").doesNotContain("private");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(history)))
        .isEqualTo("rw-------");
  }

  @Test
  void historyThatCannotBeKept() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    assertThat(catchThrowable(() -> TerminalPrompt.historyIn(file.resolve("below"))))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("no history can be kept in");
  }

  /** Types the next keys whenever a message is about to be read. */
  private static final class Typist implements Prompt {
    private final Prompt prompt;
    private final OutputStream keys;
    private final Queue<String> typed;

    Typist(Prompt prompt, OutputStream keys, String... typed) {
      this.prompt = prompt;
      this.keys = keys;
      this.typed = new ArrayDeque<>(List.of(typed));
    }

    @Override
    public Input read() {
      String next = typed.poll();
      if (next != null) {
        try {
          keys.write(next.getBytes(UTF_8));
          keys.flush();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
      return prompt.read();
    }

    @Override
    public Interrupts onInterrupt(Runnable action) {
      return prompt.onInterrupt(action);
    }

    @Override
    public void close() {
      prompt.close();
    }
  }
}
