package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KnapsackTest {
  private static final UnaryOperator<GenerationRequest> GREEDY =
      r -> r.withSampling(Sampling.GREEDY).withMaxTokens(30);

  @TempDir static Path cache;
  private final Path model = TestData.path("models/stories260K.gguf");
  private final Budget budget = Budget.of("64MiB");
  private final Host host = new Host(budget, Host.Options.usual().withCache(TestData.cache()));

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private static Options options() {
    return Options.usual().withWorkers(1);
  }

  @Test
  void whatIsSaidEndsNoTurn() {
    Conversation said = Conversation.of(Message.user("a </s> b"));
    try (Knapsack knapsack = Knapsack.open(model, host, options())) {
      assertThat(knapsack.tokens(said)).doesNotContain(knapsack.tokenizer().eos());
    }
    try (Knapsack knapsack = Knapsack.open(model, host, options().withParseSpecial(true))) {
      assertThat(knapsack.tokens(said)).containsOnlyOnce(knapsack.tokenizer().eos());
    }
  }

  @Test
  void continuesAText() {
    try (Knapsack knapsack = Knapsack.open(model, host, options());
        Generation answer =
            knapsack.generate(GREEDY.apply(GenerationRequest.ofText("Once upon a time")))) {
      assertThat(answer.text()).startsWith(", there was a little girl named Lily.");
      assertThat(answer.finishReason()).contains(FinishReason.MAX_TOKENS);
      Plan plan = knapsack.plan();
      assertThat(plan.bytes()).isLessThanOrEqualTo(budget.total());
      assertThat(plan.prediction().decodeTokensPerSecond()).isPositive();
      assertThat(knapsack.spec().layers()).hasSize(5);
      assertThat(knapsack.budget()).isSameAs(budget);
      // What is leased stays within what was planned, but for the odd page.
      assertThat(budget.used()).isLessThan(plan.bytes() + (64 << 10));
    }
  }

  @Test
  void aRequestSaysWhatItsSequenceKeeps() {
    GenerationRequest request =
        GREEDY.apply(GenerationRequest.ofText("Once upon a time")).withMaxTokens(200);
    Plan.Cache few = Plan.Cache.parse("f16", "streaming(4,60)");
    KvChoice whole = KvChoice.parse("f16");
    KvChoice kept = KvChoice.parse("f16", "streaming(4,60)");
    String forgetful;
    try (Knapsack knapsack = Knapsack.open(model, host, options().withCacheFormat(kept));
        Generation answer = knapsack.generate(request)) {
      forgetful = answer.text();
    }
    try (Knapsack knapsack = Knapsack.open(model, host, options().withCacheFormat(whole));
        Generation all = knapsack.generate(request);
        Generation own = knapsack.generate(request.withCache(few))) {
      assertThat(own.text()).isEqualTo(forgetful).isNotEqualTo(all.text());
    }
  }

  @Test
  void tokensWithoutARowAreSaid(@TempDir Path folder) {
    assertThat(Knapsack.plan(withTokens(514, folder), host, options()).notes())
        .containsExactly(
            "the tokenizer has 514 tokens and the embedding 512 rows; a prompt with one of the"
                + " tokens that have no row is refused");
  }

  /** The model, with so many tokens in its tokenizer. */
  private Path withTokens(int count, Path folder) {
    Path changed = folder.resolve("changed.gguf");
    try (ModelFile file = ModelFile.open(model)) {
      MetadataBuilder metadata = new MetadataBuilder(file.metadata());
      String tokens = "tokenizer.ggml.tokens";
      String types = "tokenizer.ggml.token_type";
      String scores = "tokenizer.ggml.scores";
      List<String> texts = new ArrayList<>(file.metadata().strings(tokens));
      while (texts.size() < count) {
        texts.add("more" + texts.size());
      }
      metadata
          .strings(tokens, texts.subList(0, count))
          .integers(types, Arrays.copyOf(file.metadata().integers(types), count))
          .reals(scores, Arrays.copyOf(file.metadata().reals(scores), count));
      try (GgufWriter writer =
              GgufWriter.create(changed, metadata.build(changed), file.tensors().values());
          Arena arena = Arena.ofConfined()) {
        for (TensorInfo tensor : file.tensors().values()) {
          MemorySegment bytes = arena.allocate(tensor.bytes());
          file.read(tensor, 0, bytes);
          writer.write(tensor, bytes);
        }
        writer.finish();
      }
    }
    return changed;
  }

  @Test
  void rowsThatAreNoTokenAreNeverAnAnswer(@TempDir Path folder) {
    Path shortened = withTokens(300, folder);
    Sampling wild = Sampling.DEFAULT.withTemperature(9).withTopK(0).withTopP(1).withMinP(0);
    try (Knapsack knapsack = Knapsack.open(shortened, host, options().withContext(256));
        Generation answer =
            knapsack.generate(
                GenerationRequest.ofText("The dog")
                    .withSampling(wild.withSeed(3))
                    .withMaxTokens(200)
                    .withIgnoreEnd(true))) {
      assertThat(answer.text()).isNotEmpty();
      assertThat(Arrays.stream(answer.tokens())).hasSize(200).allMatch(token -> token < 300);
      assertThat(knapsack.plan().notes())
          .containsExactly(
              "the embedding has 512 rows and the tokenizer 300 tokens; no answer has one of the"
                  + " rows that are no token");
    }
    assertThat(Knapsack.plan(shortened, host, options()).toString())
        .contains("Note: the embedding has 512 rows");
  }

  @Test
  void aChatKeepsWhatWasSaid() {
    try (Knapsack knapsack = Knapsack.open(model, host, options());
        Chat chat = knapsack.chat("Be kind.")) {
      assertThat(knapsack.notes(chat.conversation())).singleElement().asString().contains("ChatML");
      Generation first = chat.send("Tell me a story.", GREEDY);
      String text = first.text();
      assertThat(text).isNotEmpty();
      assertThat(chat.conversation().messages())
          .containsExactly(
              Message.system("Be kind."),
              Message.user("Tell me a story."),
              Message.assistant(text));
      Generation second = chat.send("Go on.", r -> GREEDY.apply(r).withMaxTokens(300));
      assertThat(second.usage().cachedTokens()).isGreaterThan(first.usage().promptTokens() - 2);
      Iterator<String> pieces = second.iterator();
      assertThat(pieces.next()).isNotEmpty();
      Generation third = chat.send("And then?", r -> GREEDY.apply(r).withMaxTokens(3));
      assertThat(second.finishReason()).contains(FinishReason.CANCELLED);
      third.text();
      assertThat(chat.conversation().messages()).hasSize(7);
      chat.clear();
      assertThat(chat.conversation().messages()).containsExactly(Message.system("Be kind."));
    }
  }

  @Test
  void instructionsStayWhenAChatIsCleared() {
    Message instructions = new Message(Role.DEVELOPER, List.of(new Part.Text("Be kind.")));
    try (Knapsack knapsack = Knapsack.open(model, host, options());
        Chat chat = knapsack.chat(Conversation.of(instructions, Message.user("Hi.")))) {
      chat.clear();
      assertThat(chat.conversation().messages()).containsExactly(instructions);
    }
  }

  @Test
  void saysTheTextsOfTokens() {
    try (Knapsack knapsack = Knapsack.open(model, host, options());
        Generation answer =
            knapsack.generate(
                GREEDY
                    .apply(GenerationRequest.ofText("Once upon a time"))
                    .withLogProbabilities(2))) {
      List<Event.Token> tokens =
          answer
              .events()
              .filter(Event.Token.class::isInstance)
              .map(Event.Token.class::cast)
              .toList();
      StringBuilder joined = new StringBuilder();
      tokens.forEach(token -> joined.append(knapsack.text(token.id())));
      assertThat(joined).hasToString(answer.text()).contains(" ");
      assertThat(knapsack.text(answer.tokens())).isEqualTo(answer.text());
      assertThat(knapsack.text(tokens.getFirst().alternatives().getFirst().id())).isEqualTo(",");
      assertThatThrownBy(() -> knapsack.text(512))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("512");
    }
  }

  @Test
  void saysThatToolsAreLeftOut(@TempDir Path folder) {
    List<Tool> tools = List.of(new Tool("weather", "Says how it is.", "{}"));
    Conversation asked = Conversation.of(Message.user("Hi.")).withTools(tools);
    try (Knapsack knapsack = Knapsack.open(model, host, options())) {
      assertThat(knapsack.notes(asked))
          .satisfiesExactly(
              note -> assertThat(note).contains("ChatML"),
              note -> assertThat(note).contains("takes no tools"));
    }
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    Path path = withTemplates(folder.resolve("tools.gguf"), turns, "{{ tools }}" + turns);
    try (Knapsack knapsack = Knapsack.open(path, host, options())) {
      assertThat(knapsack.notes(asked)).isEmpty();
    }
  }

  @Test
  void refusesThePlanOfAnotherModel() {
    Plan plan = Knapsack.plan(model, host, options());
    Plan other = Plan.ofJson(plan.toJson().replace(plan.model(), "another"));
    assertThatThrownBy(() -> Knapsack.open(model, host, options().withPlan(other)).close())
        .isInstanceOf(PlanMismatchException.class)
        .hasMessageContaining("another");
  }

  @Test
  void refusesAtOnceWhatNoModelCanBeOpenedWith() {
    assertThatThrownBy(() -> Options.usual().withQueue(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0 or more");
    assertThat(KvChoice.parse("auto", "h2o(80)").candidates()).hasSizeGreaterThan(1);
  }

  @Test
  void aConversationIsWrittenAsTheTemplateForItExpects(@TempDir Path folder) {
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    Path path =
        withTemplates(
            folder.resolve("named.gguf"),
            "{% if messages[0].role == 'system' %}{{ raise_exception('No') }}{% endif %}" + turns,
            "{{ tools[0].function.name }} " + turns);
    List<Tool> tools = List.of(new Tool("weather", "Says how it is.", "{}"));
    Conversation said = Conversation.of(Message.system("Be kind."), Message.user("Hi."));
    try (Knapsack knapsack = Knapsack.open(path, host, options())) {
      assertThat(knapsack.tokens(said)).isEqualTo(knapsack.tokens("Be kind.\n\nHi.", true));
      assertThat(knapsack.notes(said)).singleElement().asString().contains("no system message");
      assertThat(knapsack.tokens(said.withTools(tools)))
          .isEqualTo(knapsack.tokens("weather Be kind.Hi.", true));
    }
  }

  @Test
  void whatAModelThinksIsNoPartOfItsText(@TempDir Path folder) {
    Path path =
        withTemplates(
            folder.resolve("thinks.gguf"),
            "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n",
            "{{ tools[0].function.name }}");
    try (Knapsack knapsack = Knapsack.open(path, host, options());
        Chat chat = knapsack.chat()) {
      Generation answer = chat.send("Once upon a time", GREEDY);
      List<Event> events = answer.events().toList();
      assertThat(events).hasAtLeastOneElementOfType(Event.Reasoning.class);
      assertThat(events).doesNotHaveAnyElementsOfTypes(Event.Text.class);
      assertThat(answer.text()).isEmpty();
      assertThat(answer.message().parts())
          .singleElement()
          .isInstanceOf(Part.Reasoning.class)
          .extracting(part -> ((Part.Reasoning) part).text())
          .asString()
          .isNotBlank();
      assertThat(chat.conversation().messages().getLast()).isEqualTo(answer.message());
    }
  }

  /** The model with these templates. */
  static Path withTemplates(Path path, String usual, String toolUse) {
    try (ModelFile stories = ModelFile.open(TestData.path("models/stories260K.gguf"));
        Arena arena = Arena.ofConfined()) {
      MetadataBuilder metadata =
          new MetadataBuilder(stories.metadata())
              .string("tokenizer.chat_template", usual)
              .strings("tokenizer.chat_templates", List.of("tool_use"))
              .string("tokenizer.chat_template.tool_use", toolUse);
      try (GgufWriter writer =
          GgufWriter.create(path, metadata.build(path), stories.tensors().values())) {
        for (TensorInfo tensor : stories.tensors().values()) {
          MemorySegment bytes = arena.allocate(tensor.bytes());
          stories.read(tensor, 0, bytes);
          writer.write(tensor, bytes);
        }
        writer.finish();
      }
    }
    return path;
  }

  @Test
  void whatASendThrowsLeavesTheChatAsItWas() {
    try (Knapsack knapsack = Knapsack.open(model, host, options().withContext(64));
        Chat chat = knapsack.chat()) {
      assertThatThrownBy(() -> chat.send("word ".repeat(100)))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("64");
      assertThat(chat.conversation().messages()).isEmpty();
      assertThat(chat.send("Hi", r -> r.withMaxTokens(2)).text()).isNotNull();
      assertThat(chat.conversation().messages()).hasSize(2);
    }
  }

  /** 100 million characters: to render or encode them would take the heap several times that. */
  @Test
  void refusesATextThatCannotFitBeforeItIsEncoded() {
    String text = " \n" + "word ".repeat(20_000_000);
    try (Knapsack knapsack = Knapsack.open(model, host, options().withContext(64));
        Chat chat = knapsack.chat()) {
      assertThatThrownBy(() -> chat.send(text))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("99,999,999 characters long")
          .hasMessageContaining("a context of 64");
      assertThatThrownBy(() -> knapsack.generate(GenerationRequest.ofText(text)))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("100,000,002 characters long");
      assertThat(chat.conversation().messages()).isEmpty();
      assertThat(chat.send("Hi", r -> r.withMaxTokens(2)).text()).isNotNull();
    }
  }

  @Test
  void severalShareABudget() {
    try (Knapsack one = Knapsack.open(model, host, options().withContext(128));
        Knapsack two = Knapsack.open(model, host, options().withContext(64).withSequences(2));
        Generation a = one.generate(GREEDY.apply(GenerationRequest.ofText("The dog")));
        Generation b = two.generate(GREEDY.apply(GenerationRequest.ofText("The dog")));
        Generation c = two.generate(GREEDY.apply(GenerationRequest.ofText("A cat")))) {
      assertThat(List.of(a.text(), c.text())).doesNotContain("");
      assertThat(b.text()).isEqualTo(a.messageSoFar().text());
    }
  }

  @Test
  void requestsBeyondTheSequencesWaitUntilTooManyDo() {
    // So long that it is written while the others are asked for.
    GenerationRequest longest =
        GREEDY.apply(GenerationRequest.ofText("The dog")).withMaxTokens(400).withIgnoreEnd(true);
    try (Knapsack knapsack = Knapsack.open(model, host, options().withContext(512).withQueue(1));
        Generation first = knapsack.generate(longest);
        Generation second = knapsack.generate(longest)) {
      assertThatThrownBy(() -> knapsack.generate(GenerationRequest.ofText("The dog")))
          .isInstanceOf(QueueFullException.class);
      assertThat(second.text()).isNotEmpty().isEqualTo(first.messageSoFar().text());
    }
  }

  @Test
  void aPlanCanBeMadeFirstAndGiven() {
    Plan plan = Knapsack.plan(model, host, options().withContext(100));
    assertThat(budget.used()).isZero();
    try (Knapsack knapsack = Knapsack.open(model, host, options().withPlan(plan))) {
      assertThat(knapsack.plan()).isEqualTo(plan);
      assertThat(plan.context()).isEqualTo(100);
    }
  }

  /**
   * What is resident counts, for a budget that bounds the process: it is not there to probe with.
   */
  @Test
  void measuresAMachineForTheFirstTimeWithinTheBudget(@TempDir Path notMeasured) {
    Host whole =
        new Host(budget, Host.Options.usual().withCache(notMeasured).withWholeProcess(true));
    // Less than any JVM that runs tests has resident.
    assertThatThrownBy(() -> Knapsack.plan(model, whole, options()))
        .isInstanceOf(PlanDoesNotFitException.class);
    assertThat(notMeasured.resolve("machine.json")).exists();
    assertThat(budget.account("probe").peak()).isBetween(1L << 20, 8L << 20);
    assertThat(budget.account("jvm").peak()).isEqualTo(budget.total() - (8 << 20));
  }

  @Test
  void saysWhatIsWrongAndLeavesNothingBehind() throws IOException {
    Budget little = Budget.of("2MiB");
    assertThatThrownBy(() ->
            Knapsack.open(
                model,
                new Host(little, Host.Options.usual().withCache(TestData.cache())),
                options().withContext(512).withSequences(16)))
        .isInstanceOf(PlanDoesNotFitException.class);
    assertThat(little.used()).isZero();
    Path text = Files.writeString(cache.resolve("no.gguf"), "no model");
    assertThatThrownBy(() -> Knapsack.open(text, host, options()))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("no.gguf");
    Knapsack closed = Knapsack.open(model, host, options());
    closed.close();
    closed.close();
    assertThatThrownBy(() -> closed.generate(GenerationRequest.ofText("Once")))
        .isInstanceOf(EngineClosedException.class);
  }
}
