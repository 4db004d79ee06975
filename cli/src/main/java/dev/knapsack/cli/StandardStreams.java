package dev.knapsack.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.terminal.spi.SystemStream;
import org.jline.terminal.spi.TerminalProvider;
import org.jspecify.annotations.Nullable;

/**
 * The standard streams of a command, and which of them are a terminal.
 *
 * @param in standard input
 * @param out standard output: what was asked for, alone; to be flushed
 * @param err standard error: everything else; flushed with every line
 */
record StandardStreams(
    InputStream in,
    PrintStream out,
    PrintStream err,
    boolean inputIsTerminal,
    boolean outputIsTerminal,
    boolean errorIsTerminal) {
  private static final String PROVIDER = "ffm";

  static StandardStreams ofThisProcess() {
    InputStream in = new FileInputStream(FileDescriptor.in);
    PrintStream out = print(FileDescriptor.out, false);
    PrintStream err = print(FileDescriptor.err, true);
    Path descriptors = Path.of("/proc/self/fd");
    if (Files.isDirectory(descriptors)) {
      // Asking the kernel's own list costs nothing; loading a terminal library takes a good part of
      // a short run.
      return new StandardStreams(
          in,
          out,
          err,
          isTerminal(descriptors.resolve("0")),
          isTerminal(descriptors.resolve("1")),
          isTerminal(descriptors.resolve("2")));
    }
    try {
      TerminalProvider provider = TerminalProvider.load(PROVIDER);
      return new StandardStreams(
          in,
          out,
          err,
          provider.isSystemStream(SystemStream.Input),
          provider.isSystemStream(SystemStream.Output),
          provider.isSystemStream(SystemStream.Error));
    } catch (IOException | LinkageError e) {
      // A system without terminals that we know: everything is a pipe.
      return new StandardStreams(in, out, err, false, false, false);
    }
  }

  private static PrintStream print(FileDescriptor descriptor, boolean flushLines) {
    return print(new FileOutputStream(descriptor), flushLines, charset());
  }

  /** A stream that remembers why it could not be written. */
  static PrintStream print(OutputStream target, boolean flushLines, Charset charset) {
    return new Remembering(new FirstFailure(target), flushLines, charset);
  }

  private static final class Remembering extends PrintStream {
    private final FirstFailure target;

    Remembering(FirstFailure target, boolean flushLines, Charset charset) {
      super(new BufferedOutputStream(target), flushLines, charset);
      this.target = target;
    }
  }

  private static final class FirstFailure extends FilterOutputStream {
    private @Nullable IOException failure;

    FirstFailure(OutputStream target) {
      super(target);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      try {
        out.write(bytes, from, length);
      } catch (IOException e) {
        failure = failure == null ? e : failure;
        throw e;
      }
    }
  }

  /**
   * The reason why something that was to be on standard output is not; null if all of it is, or
   * whoever reads it has closed it, as {@code head} does.
   */
  @Nullable String lostOutput() {
    if (!out.checkError()) {
      return null;
    }
    IOException failure = out instanceof Remembering stream ? stream.target.failure : null;
    String why = failure == null ? null : failure.getMessage();
    return why == null ? "it is closed" : why.contains("Broken pipe") ? null : why;
  }

  private static boolean isTerminal(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().matches("/dev/(pts/|tty|console).*");
    } catch (IOException closed) {
      return false;
    }
  }

  /** UTF-8 where the system claims to know ASCII alone, as a container without a locale does. */
  private static Charset charset() {
    Charset charset =
        Charset.forName(System.getProperty("native.encoding", "UTF-8"), StandardCharsets.UTF_8);
    return charset.equals(StandardCharsets.US_ASCII) ? StandardCharsets.UTF_8 : charset;
  }

  /** Says whether a user sits at a terminal that can show them a prompt. */
  boolean isInteractive() {
    return inputIsTerminal && (outputIsTerminal || errorIsTerminal);
  }

  /** Standard output, for answers. */
  AnswerStream answers() {
    return new AnswerStream(out, err, outputIsTerminal);
  }

  /** All of standard input as text. */
  String text() throws IOException {
    StringWriter text = new StringWriter();
    new InputStreamReader(in, out.charset()).transferTo(text);
    return text.toString();
  }

  /**
   * A prompt with editing and history on the terminal of this process. It shows itself on standard
   * error where that is a terminal, so that standard output holds answers alone.
   *
   * @param history the file that keeps what was typed
   */
  Prompt prompt(Path history) {
    try {
      Terminal terminal =
          TerminalBuilder.builder()
              .provider(PROVIDER)
              .systemOutput(TerminalBuilder.SystemOutput.SysErrOrSysOut)
              .encoding(out.charset())
              .dumb(true) // what cannot be a real terminal becomes a plain one, without a warning
              .build();
      return new TerminalPrompt(terminal, history);
    } catch (IOException e) {
      throw new UncheckedIOException("the terminal cannot be used: " + e.getMessage(), e);
    }
  }
}
