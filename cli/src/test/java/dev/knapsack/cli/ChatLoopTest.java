package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.cli.Prompt.Input;
import dev.knapsack.error.TemplateException;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Part;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The chat's commands and streams, on an input that is no terminal. */
class ChatLoopTest {
  @TempDir Path cache;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final EchoTalk conversation = new EchoTalk();

  private void run(String input, boolean terminal) {
    run(new PipePrompt(new StringReader(input)), terminal);
  }

  private void run(Prompt prompt, boolean terminal) {
    new ChatLoop(
            conversation,
            prompt,
            new AnswerStream(
                new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8), terminal),
            new PrintStream(err, true, UTF_8))
        .run();
  }

  private void run(String input) {
    run(input, false);
  }

  private String answers() {
    return out.toString(UTF_8);
  }

  private String notes() {
    return err.toString(UTF_8);
  }

  @Test
  void answersAloneGoToTheAnswers() {
    run("Grüezi mitenand\n\n  and again  \n");
    assertThat(answers()).isEqualTo("Grüezi mitenand\nand again\n");
    assertThat(notes()).isEmpty();
  }

  @Test
  void commands() {
    run("/help\none\n/clear\n/system Be brief.\n/system\n/stats\n/exit\nnever\n");
    assertThat(conversation.log)
        .containsExactly("one", "[clear]", "[system Be brief.]", "[system ]");
    assertThat(answers()).isEqualTo("one\n");
    assertThat(notes())
        .contains("/system [PROMPT]", "Forgotten", "System prompt set", "No system prompt")
        .contains(
            "last answer: 7 prompt tokens, 1 answer tokens, first after 0.50 s, 0.0 tokens/s");
  }

  @Test
  void howTheConversationIsWrittenIsSaidOnce() {
    run("/system no place\none\ntwo\n");
    assertThat(notes()).containsOnlyOnce("There is no place.\n");
  }

  @Test
  void statsBeforeAnAnswer() {
    run("/stats\n");
    assertThat(notes()).isEqualTo("No answer yet.\n");
  }

  @Test
  void aSlashThatIsNoCommand() {
    run("/nothing x\n//etc is a directory\n");
    assertThat(notes()).contains("There is no command /nothing");
    assertThat(conversation.log).containsExactly("/etc is a directory");
  }

  @Test
  void messagesOfSeveralLines() {
    run("one\\\ntwo\n\"\"\"three\n\nfour\n\"\"\"\nC:\\\\\nlast \"\"\"\n");
    assertThat(conversation.log)
        .containsExactly("one\ntwo", "three\n\nfour", "C:\\\\", "last \"\"\"");
  }

  @Test
  void anOpenMessageEndsWithTheInput() {
    run("\"\"\"one\ntwo");
    assertThat(conversation.log).containsExactly("\"\"\"one\ntwo");
  }

  @Test
  void whyAnAnswerEnded() {
    run("full\n");
    assertThat(answers()).isEqualTo("full\n");
    assertThat(notes()).contains("the context is full").contains("/clear");
  }

  @Test
  void aRefusedConversationGoesOn() {
    int[] words = {0};
    conversation.beforeWord =
        () -> {
          if (words[0]++ == 1) {
            throw new TemplateException("Roles must take turns");
          }
        };
    run("one two\nthree\n");
    assertThat(answers()).isEqualTo("one \nthree\n");
    assertThat(notes()).contains("chat template refuses").contains("Roles must take turns");
  }

  @Test
  void aMessageThatIsTooLongDoesNotEndTheChat() {
    Path stories = Shell.data("models/stories260K.gguf");
    Options options = Options.usual().withContext(64).withWorkers(1);
    Host host = new Host(Budget.of("64MiB"), Host.Options.usual().withCache(cache));
    try (Knapsack knapsack = Knapsack.open(stories, host, options);
        EngineTalk real =
            new EngineTalk(knapsack, knapsack.chat(), request -> request.withMaxTokens(3), null)) {
      new ChatLoop(
              real,
              new PipePrompt(new StringReader("many words ".repeat(1000) + "\nfew\n")),
              new AnswerStream(
                  new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8), false),
              new PrintStream(err, true, UTF_8))
          .run();
      assertThat(notes()).contains("10,999 characters long", "/clear starts over");
      assertThat(answers()).isNotBlank();
    }
  }

  @Test
  void controlCAtThePrompt() {
    Iterator<Input> inputs =
        List.<Input>of(
                new Input.Cleared(false),
                new Input.Line("one"),
                new Input.Cleared(true),
                new Input.Line("two"),
                new Input.End())
            .iterator();
    Prompt prompt =
        new Prompt() {
          @Override
          public Input read() {
            return inputs.next();
          }

          @Override
          public Interrupts onInterrupt(Runnable action) {
            return () -> {};
          }

          @Override
          public void close() {}
        };
    run(prompt, false);
    assertThat(conversation.log).containsExactly("one", "two");
    assertThat(notes()).isEqualTo("Ctrl-D or /exit ends.\n");
  }

  @Test
  void aTerminalIsNotSentControlSequences() {
    run("a\u001b[2Jb\tc\u009bd\n", true);
    assertThat(answers()).isEqualTo("a\ufffd[2Jb\tc\ufffdd\n");
    out.reset();
    run("a\u001b[2Jb\n", false);
    assertThat(answers()).isEqualTo("a\u001b[2Jb\n");
  }

  @Test
  void reasoningIsANoteAndCallsAreTheAnswer() {
    AnswerStream stream =
        new AnswerStream(
            new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8), true);
    stream.begin();
    stream.write(new Part.Reasoning("Where\u001b is "));
    stream.write(new Part.Reasoning("it?"));
    stream.write(new Part.Text("I look."));
    stream.write(new Part.ToolCall("call_0", "look", "{\"in\":\"the library\"}"));
    stream.end();
    assertThat(notes()).isEqualTo("Where\ufffd is it?\n\n");
    assertThat(answers())
        .isEqualTo(
            "I look.\n{\"call\":\"look\",\"arguments\":\"{\\\"in\\\":\\\"the library\\\"}\","
                + "\"id\":\"call_0\"}\n");
  }
}
