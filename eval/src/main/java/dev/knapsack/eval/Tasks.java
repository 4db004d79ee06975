package dev.knapsack.eval;

import dev.knapsack.file.ModelFile;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.text.ChatTemplate;
import dev.knapsack.text.ChatTemplates;
import dev.knapsack.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.function.ToIntFunction;

/**
 * Makes questions for a model: in the words of its chat template, or as plain text where it has
 * none. The same seed makes the same questions.
 *
 * @param tasks kinds of question
 * @param tokens that a prompt has, about
 * @param count questions of each kind
 */
public record Tasks(List<Task> tasks, int tokens, int count, long seed) {
  public Tasks {
    tasks = List.copyOf(tasks);
    if (tasks.isEmpty() || tokens < 64 || count < 1) {
      throw new IllegalArgumentException(
          "Questions are made of one task or more, 64 tokens or more, and once or more; not %s, %,d, %d"
              .formatted(tasks, tokens, count));
    }
  }

  /** The questions; only the model's header and vocabulary are read. */
  public List<Question> questions(Path model) {
    try (ModelFile file = ModelFile.open(model)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      ChatTemplates templates = ChatTemplates.of(file.templates());
      Optional<ChatTemplate> template =
          templates.isEmpty() ? Optional.empty() : Optional.of(templates.usual(false));
      ToIntFunction<String> length = s -> tokenizer.encode(" " + s, false, false).length;
      List<Question> questions = new ArrayList<>();
      for (Task task : tasks) {
        // Each task by itself: what is asked beside it changes nothing.
        Random random = new Random(seed * 31 + task.name().hashCode());
        for (int i = 0; i < count; i++) {
          Task.Made made = task.make(random, i, tokens - FRAME, length);
          String name = task.name().toLowerCase(Locale.ROOT);
          questions.add(question(name, i, made, prompt(made, template, tokenizer)));
        }
      }
      return questions;
    }
  }

  /** Tokens for the question and what stands around a message. */
  private static final int FRAME = 32;

  private static Question question(String name, int number, Task.Made made, String prompt) {
    int split = prompt.lastIndexOf(made.question());
    return new Question(
        name + "-" + number,
        prompt,
        made.answer(),
        name,
        split,
        "",
        made.depth(),
        Question.Match.CONTAINED);
  }

  private static String prompt(
      Task.Made made, Optional<ChatTemplate> template, Tokenizer tokenizer) {
    String text = made.text() + " " + made.question();
    return template
        .map(t -> {
          ChatTemplate.Input asked =
              ChatTemplate.Input.of(
                  Conversation.of(Message.user(text)),
                  special(tokenizer, tokenizer.bos()),
                  special(tokenizer, tokenizer.eos()));
          return t.render(t.fit(asked).conversation()).text();
        })
        .orElseGet(() -> made.text() + "\n\n" + made.question() + "\nAnswer:");
  }

  private static String special(Tokenizer tokenizer, int token) {
    return token < 0 ? "" : new String(tokenizer.bytes(token, true), StandardCharsets.UTF_8);
  }
}
