package dev.knapsack.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Objects;
import org.jline.keymap.KeyMap;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.Reference;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Attributes;
import org.jline.terminal.Attributes.ControlChar;
import org.jline.terminal.Attributes.InputFlag;
import org.jline.terminal.Attributes.LocalFlag;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.Terminal.SignalHandler;
import org.jspecify.annotations.Nullable;

/**
 * Reads messages from a terminal with line editing, history and pasting of several lines.
 *
 * <p>The history lies in a file that only its owner can read; a line that starts with a blank is
 * left out of it.
 */
final class TerminalPrompt implements Prompt {
  private static final String PROMPT = "> ";
  private static final String GOES_ON = ". ";
  private static final int HISTORY_LINES = 1000;

  private final Terminal terminal;
  private final Attributes before;
  private final LineReader reader;

  /**
   * @param history the file that keeps what was typed, made where there is none; null to keep
   *     nothing
   */
  TerminalPrompt(Terminal terminal, @Nullable Path history) {
    this.terminal = terminal;
    this.before = terminal.getAttributes();
    keepKeys();
    LineReaderBuilder builder =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .appName("knapsack")
            .parser(new MessageParser())
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
            .option(LineReader.Option.BRACKETED_PASTE, true)
            .option(LineReader.Option.HISTORY_IGNORE_SPACE, true)
            .option(LineReader.Option.HISTORY_REDUCE_BLANKS, false)
            .option(LineReader.Option.INSERT_TAB, true)
            .variable(LineReader.SECONDARY_PROMPT_PATTERN, GOES_ON)
            .variable(LineReader.HISTORY_SIZE, HISTORY_LINES)
            .variable(LineReader.HISTORY_FILE_SIZE, HISTORY_LINES);
    if (history != null) {
      builder.variable(LineReader.HISTORY_FILE, history);
    }
    reader = builder.build();
    reader.getWidgets().put("insert-line-break", this::insertLineBreak);
    Objects.requireNonNull(reader.getKeyMaps().get(LineReader.MAIN))
        .bind(new Reference("insert-line-break"), KeyMap.alt('\r'), KeyMap.alt('\n'));
  }

  /**
   * Lets keys that are typed while nobody reads them wait as they are, until the prompt reads them.
   *
   * <p>A terminal that collects lines itself takes Ctrl-D for the end of one: of what was typed
   * while an answer came, the prompt would never see it. Ctrl-C stays a signal.
   */
  private void keepKeys() {
    Attributes keys = new Attributes(before);
    keys.setLocalFlags(EnumSet.of(LocalFlag.ICANON, LocalFlag.IEXTEN), false);
    keys.setInputFlag(InputFlag.ICRNL, false);
    keys.setControlChar(ControlChar.VMIN, 1);
    keys.setControlChar(ControlChar.VTIME, 0);
    terminal.setAttributes(keys);
  }

  private boolean insertLineBreak() {
    reader.getBuffer().write("\n");
    return true;
  }

  /**
   * The history file in a directory, made for its owner alone where it is not there.
   *
   * @throws UncheckedIOException if it can be neither found nor made
   */
  static Path historyIn(Path directory) {
    Path file = directory.resolve("history");
    try {
      if (!Files.exists(file)) {
        Files.createDirectories(directory);
        boolean posix = FileSystems.getDefault().supportedFileAttributeViews().contains("posix");
        FileAttribute<?>[] ownerOnly =
            posix
                ? new FileAttribute<?>[] {
                  PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                }
                : new FileAttribute<?>[0];
        Files.createFile(file, ownerOnly);
      }
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException("no history can be kept in " + file + ": " + e, e);
    }
  }

  @Override
  public Input read() {
    try {
      return new Input.Line(MessageParser.message(reader.readLine(PROMPT)));
    } catch (UserInterruptException e) {
      return new Input.Cleared(e.getPartialLine() == null || e.getPartialLine().isBlank());
    } catch (EndOfFileException e) {
      return new Input.End();
    }
  }

  /** While an answer comes, what is typed is not shown: it waits for the next prompt. */
  @Override
  public Interrupts onInterrupt(Runnable action) {
    SignalHandler before = terminal.handle(Signal.INT, _ -> action.run());
    boolean echo = terminal.echo(false);
    return () -> {
      terminal.echo(echo);
      terminal.handle(Signal.INT, before);
    };
  }

  @Override
  public void close() {
    try {
      reader.getHistory().save();
    } catch (IOException e) {
      terminal.writer().println("The history could not be kept: " + e.getMessage());
    }
    terminal.setAttributes(before);
    try {
      terminal.close();
    } catch (IOException e) {
      throw new UncheckedIOException("the terminal could not be given back", e);
    }
  }
}
