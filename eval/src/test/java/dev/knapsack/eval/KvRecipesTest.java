package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KvRecipesTest {
  @TempDir Path folder;

  private final Budget budget = Budget.of("96MiB");
  private final List<String> opened = new ArrayList<>();

  private KvRecipes.Opener opener(Path model) {
    return (trial, context) -> {
      opened.add(trial.name());
      return Knapsack.open(
          model,
          Data.host(budget),
          trial.apply(Options.usual().withContext(context).withPrecision(Compute.Precision.FLOAT)));
    };
  }

  private List<KvRecipeResult> measure(
      KvRecipes work, Path model, boolean visible, List<Integer> percents, String recipes)
      throws IOException {
    List<KvRecipeResult> results =
        work.measure(
            work.trials(KvTrial.recipes(recipes), percents),
            visible,
            opener(model),
            folder.resolve("scratch"),
            Perplexity.Progress.NONE);
    assertThat(budget.used()).isZero();
    try (Stream<Path> left = Files.list(folder.resolve("scratch"))) {
      assertThat(left).isEmpty();
    }
    return results;
  }

  @Test
  void questionsOfTheNotesModel() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    KvRecipes work =
        KvRecipes.of(
            model,
            Questions.ofNotes(1),
            Optional.of(Text.read(Data.path("text/tinyshakespeare.txt"), 800)),
            256);
    String recipes = "snapkv;full;full+q8_0;snapkv(4096);streaming(4,20)+q8_0";
    List<KvRecipeResult> hidden = measure(work, model, false, List.of(50, 25), recipes);
    assertThat(hidden)
        .extracting(r -> r.trial().name())
        .containsExactly(
            "full",
            "snapkv at 50 %",
            "snapkv at 25 %",
            "full+q8_0",
            "snapkv(4096)",
            "streaming(4,20)+q8_0");
    assertThat(opened).as("the full cache answers before all others").hasSize(7);
    KvRecipeResult full = hidden.get(0);
    assertThat(full.answers()).isEqualTo(new Agreement(full.answers().positions(), 0, 1));
    assertThat(full.right()).isEqualTo(1);
    assertThat(full.shareOfFull()).isEqualTo(1);
    assertThat(full.contexts()).isEqualTo(1);
    assertThat(full.decodeTokensPerSecond()).isPositive();
    assertThat(full.firstTokenSeconds()).isLessThan(full.readSeconds());
    // Nothing is forgotten: not a bit is different.
    KvRecipeResult room = hidden.get(4);
    assertThat(room.answers()).isEqualTo(full.answers());
    assertThat(room.perplexity()).isEqualTo(full.perplexity());
    assertThat(room.bytes()).as("4 bytes in 128 say where").isEqualTo(full.bytes() * 33 / 32);
    assertThat(room.text()).isEqualTo(new Agreement(full.text().positions(), 0, 1));
    assertThat(full.text().positions()).isPositive();
    assertThat(full.textPerplexity()).isGreaterThan(1);
    assertThat(hidden.get(2).text().divergence()).isGreaterThan(hidden.get(1).text().divergence());
    // Bytes are those of whole pages: a context of four pages of 64 tokens.
    KvRecipeResult half = hidden.get(1);
    KvRecipeResult quarter = hidden.get(2);
    assertThat(full.bytes()).isEqualTo(4 * 64 * 1024L);
    assertThat(half.bytes()).isEqualTo(room.bytes() / 2);
    assertThat(quarter.bytes())
        .as("up to whole pages of the operating system")
        .isBetween(room.bytes() / 4, room.bytes() / 4 + 4096);
    assertThat(quarter.peakBytes()).isGreaterThanOrEqualTo(full.peakBytes());
    assertThat(hidden.get(3).shareOfFull()).isBetween(0.5, 0.56);
    assertThat(hidden.get(3).answers().divergence())
        .isBetween(1e-9, half.answers().divergence() / 100);
    assertThat(half.perplexity()).isGreaterThan(full.perplexity());
    assertThat(hidden.get(5).right()).isZero();
    assertThat(hidden.get(5).answers().same()).isLessThan(1);

    List<KvRecipeResult> visible = measure(work, model, true, List.of(25), "snapkv");
    assertThat(visible.get(0).right()).isEqualTo(1);
    // Who knows the question keeps its answer.
    assertThat(visible.get(1).answers().divergence()).isLessThan(quarter.answers().divergence());
    assertThat(visible.get(0).firstTokenSeconds()).isGreaterThan(visible.get(0).readSeconds());

    List<KvRecipeResult> both = Stream.concat(hidden.stream(), visible.stream()).toList();
    KvRecipesReport report = new KvRecipesReport("notes", both, List.of());
    assertThat(report.table().text().lines())
        .hasSize(9)
        .anyMatch(l -> l.startsWith("snapkv ") && l.contains("25 %") && l.contains("visible"));
    assertThat(report.jsonLines().lines()).hasSize(8).allMatch(l -> l.contains("\"recall\":"));
    report.write(folder.resolve("report"));
    assertThat(folder.resolve("report/kv.md"))
        .content()
        .contains("| full+q8_0 |", "(recall-hidden.svg)", "(divergence-visible.svg)");
    for (String picture : List.of("recall-hidden", "divergence-visible")) {
      assertThat(folder.resolve("report/" + picture + ".svg")).content().contains("<svg");
      assertThat(Files.readAllBytes(folder.resolve("report/" + picture + ".png")))
          .startsWith(0x89, 'P', 'N', 'G');
    }
  }

  @Test
  void whatComesBackFromDiskCounts() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    KvRecipes work = KvRecipes.of(model, Questions.ofNotes(2), Optional.empty(), 256);
    KvRecipeResult back = measure(work, model, false, List.of(50), "icecache").getLast();
    // Two pages of four are room for tokens that are read again; beside them are units' mean keys.
    assertThat(back.shareOfFull()).isBetween(0.7, 1.0);
  }

  @Test
  void whatKeepsAllTokensIsTriedOnce() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    KvRecipes work = KvRecipes.of(model, Questions.ofNotes(1), Optional.empty(), 256);
    assertThat(work.trials(List.of("think", "knorm"), List.of(50, 25)))
        .extracting(KvTrial::name)
        .containsExactly("think", "knorm at 50 %", "knorm at 25 %");
  }

  @Test
  void theStagesOfACachesLife() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    KvRecipes work =
        KvRecipes.of(
            model, Questions.read(Data.path("notes/eval-multi.jsonl"), 3), Optional.empty(), 64);
    List<KvStages> stages =
        work.stages(
            work.trials(KvTrial.recipes("snapkv+q8_0;h2o"), List.of(50)),
            opener(model),
            folder.resolve("scratch"),
            Perplexity.Progress.NONE);
    assertThat(opened).as("again to load, but for h2o").hasSize(5);
    assertThat(budget.used()).isZero();
    try (Stream<Path> left = Files.list(folder.resolve("scratch"))) {
      assertThat(left).isEmpty();
    }
    for (KvStages stage : stages.subList(0, 2)) {
      assertThat(stage.contexts()).isOne();
      assertThat(stage.asked()).isEqualTo(3);
      assertThat(stage.laterAsked()).isEqualTo(2);
      assertThat(stage.same()).as("after loading").isEqualTo(3);
      assertThat(stage.savedBytes()).isPositive();
      assertThat(stage.unsaved()).isEmpty();
      assertThat(stage.generateSeconds()).isGreaterThan(stage.readSeconds());
    }
    assertThat(stages.get(0).right()).isPositive();
    assertThat(stages.get(1).bytes()).isLessThan(stages.get(0).bytes() * 6 / 10);
    assertThat(stages.get(1).savedBytes()).isLessThan(stages.get(0).savedBytes());
    assertThat(stages.get(2).unsaved()).contains("goes by what it has seen");
    assertThat(stages.get(2).savedBytes()).isZero();
    KvRecipesReport report = new KvRecipesReport("notes", List.of(), stages);
    assertThat(report.stageTable().text().lines())
        .hasSize(4)
        .anyMatch(l -> l.startsWith("h2o ") && l.contains("cannot be saved"));
  }

  @Test
  void questionsThatAreMadeAreAskedByDepth() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    List<Question> questions = new Tasks(List.of(Task.NEEDLE), 200, 5, 3).questions(model);
    KvRecipes work = KvRecipes.of(model, questions, Optional.empty(), 64);
    List<KvRecipeResult> results = measure(work, model, false, List.of(25), "streaming");
    KvRecipeResult full = results.get(0);
    assertThat(full.depths()).extracting(Depth::percent).containsExactly(10, 30, 50, 70, 90);
    assertThat(full.right()).isGreaterThanOrEqualTo(3);
    assertThat(full.perplexity()).isZero();
    List<Depth> recent = results.get(1).depths();
    assertThat(recent.get(1).right() + recent.get(2).right()).as("forgotten").isZero();
    KvRecipesReport report = new KvRecipesReport("notes", results, List.of());
    report.write(folder.resolve("report"));
    assertThat(folder.resolve("report/kv.md")).content().contains("(depths-hidden-25.svg)");
    assertThat(folder.resolve("report/depths-hidden-25.svg")).content().contains("<svg");
  }

  @Test
  void aConversationIsReadOnceForAllOfItsQuestions() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    List<Question> questions = new ArrayList<>();
    String notes =
        "<|bos|><|user|> Dan keeps the yellow kite in the bathroom. Gus likes figs.<|end|>";
    String first = notes + "<|user|> What does Gus like?<|end|><|assistant|>";
    String second =
        first + " Gus likes figs.<|end|><|user|> Where is the yellow kite?<|end|><|assistant|>";
    questions.add(
        new Question(
            "1", first, "Gus likes figs.", "", notes.length(), "a", -1, Question.Match.EXACT));
    questions.add(
        new Question(
            "2",
            second,
            "The yellow kite is in the bathroom.",
            "",
            first.length() + 22,
            "a",
            -1,
            Question.Match.EXACT));
    KvRecipes work = KvRecipes.of(model, questions, Optional.empty(), 64);
    KvRecipeResult full = measure(work, model, false, List.of(), "full").getFirst();
    assertThat(full.contexts()).isOne();
    assertThat(full.asked()).isEqualTo(2);
    assertThat(full.right()).isEqualTo(2);
    assertThat(full.bytes()).isEqualTo(64 * 1024);
  }

  @Test
  void recipesAndTheirBudgets() {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    KvRecipes work =
        KvRecipes.of(
            model, List.of(new Question("q", "<|bos|> One", "two", "")), Optional.empty(), 64);
    assertThat(
            work.trials(
                List.of("score=knorm budget=uniform({budget}) action=evict when=prompt+q8_0"),
                List.of(12, 80)))
        .extracting(t -> t.policy().name())
        // Of 128 bytes a head, Q8_0 takes 68, and 4 say where a token stands.
        .containsExactly(
            "score=knorm budget=uniform(21%) action=evict when=prompt",
            "score=knorm budget=uniform(100%) action=evict when=prompt");
    KvTrial form = work.trials(List.of("full+q4_0+rotate"), List.of(50, 25)).getFirst();
    assertThat(form.policy()).isEqualTo(KvPolicy.FULL);
    assertThat(form.form()).isEqualTo(CacheForm.of("q4_0+rotate"));
    assertThat(form.percent()).isEmpty();
    assertThat(KvTrial.recipes("snapkv; streaming(4,60);"))
        .containsExactly("snapkv", "streaming(4,60)");
    assertThatThrownBy(() -> work.trials(List.of("snap"), List.of(50)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("snapkv");
    Path stories = Data.path("models/stories260K.gguf");
    KvRecipes small =
        KvRecipes.of(stories, List.of(new Question("q", "One", "two", "")), Optional.empty(), 64);
    assertThatThrownBy(() -> small.trials(List.of("snapkv+q4_0"), List.of(50)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Q4_0 stores blocks of 32 values");
    assertThatThrownBy(() -> measure(work, model, false, List.of(50), "full"))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("Question q does not say where it begins");
    assertThatThrownBy(() -> KvRecipes.of(model, List.of(), Optional.empty(), 64))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("give questions");
  }
}
