package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Request;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.generation.Sampling;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.CalibrationFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The notes model's heads are found to be what they are. */
class CalibratingTest {
  private final Budget budget = Budget.of("96MiB");

  private Calibration measure(List<Question> questions, int chunk) throws IOException {
    return found(questions, chunk).figures();
  }

  private Calibrating.Found found(List<Question> questions, int chunk) throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    List<String> progress = new ArrayList<>();
    Calibrating.Found found =
        Calibrating.of(model, questions)
            .measure(
                (policy, context) ->
                    Knapsack.open(
                        model,
                        Data.host(budget),
                        Options.usual()
                            .withContext(context)
                            .withPrefillChunk(chunk)
                            .withPrefixes(false)
                            .withCacheFormat(KvChoice.of(Formats.F16).withPolicy(policy))),
                (done, all) -> progress.add(done + "/" + all));
    assertThat(progress).hasSize(questions.size() + Math.min(8, questions.size()));
    assertThat(budget.used()).isZero();
    return found;
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 128})
  void headsThatRetrieveAndHeadsThatLookNear(int chunk) throws IOException {
    Calibration measured = measure(Questions.ofNotes(6), chunk);
    assertThat(measured.prompts()).isEqualTo(6);
    assertThat(measured.right()).isEqualTo(6);
    assertThat(measured.layers())
        .hasSize(4)
        .allSatisfy(layer -> assertThat(layer.heads()).hasSize(8));
    // Keys of the first layer are those of tokens alone; others depend on what is remembered.
    List<Double> alike =
        measured.layers().stream().map(layer -> layer.similarity().orElseThrow()).toList();
    assertThat(alike.getFirst()).isCloseTo(1, within(1e-3));
    assertThat(alike.subList(1, 4)).allSatisfy(s -> assertThat(s).isBetween(0.5, 0.99999));
    // The second layer looks at what was just said, the last two at the answer.
    for (Calibration.Head head : measured.layers().get(1).heads().subList(1, 8)) {
      assertThat(head.near()).isGreaterThan(0.9);
      assertThat(head.needle()).isLessThan(0.01);
    }
    for (Calibration.Head head : measured.layers().get(2).heads().subList(0, 4)) {
      assertThat(head.far()).isGreaterThan(0.4);
      assertThat(head.needle()).isGreaterThan(0.2);
    }
    assertThat(measured.layers())
        .allSatisfy(layer ->
            assertThat(layer.heads())
                .allSatisfy(h -> assertThat(h.near() + h.far()).isLessThan(1.0001)));
    // What looks near loses least and spreads least.
    List<Calibration.Layer> layers = measured.layers();
    for (int l : new int[] {0, 2, 3}) {
      assertThat(layers.get(1).error()).isPositive().isLessThan(layers.get(l).error());
      assertThat(layers.get(1).spread()).isPositive().isLessThan(layers.get(l).spread());
    }
  }

  @Test
  void answersThatAreWrongSayNothingOfWhatHeadsRetrieve() throws IOException {
    Question one = Questions.ofNotes(1).getFirst();
    Calibration measured = measure(List.of(new Question(one.id(), one.prompt(), "the", "")), 64);
    assertThat(measured.right()).isZero();
    assertThat(measured.layers())
        .allSatisfy(
            layer -> assertThat(layer.heads()).allSatisfy(h -> assertThat(h.needle()).isZero()));
    assertThat(measured.layers().getFirst().heads().getFirst().near()).isPositive();
  }

  @Test
  void recipesGoByWhatLiesBesideTheModel(@TempDir Path folder) throws IOException {
    Path model = folder.resolve("notes.gguf");
    Files.copy(Data.path("notes/notes-2.6m-q8_0.gguf"), model);
    Options options =
        Options.usual()
            .withContext(1024)
            .withPrefillChunk(16)
            .withPrefixes(false)
            .withCacheFormat(KvChoice.of(Formats.F16).withPolicy(Recipe.of("duo(40%)")));
    assertThatThrownBy(() -> Knapsack.plan(model, Data.host(budget), options))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("notes.gguf.kv.json")
        .hasMessageContaining("knapsack calibrate");
    CalibrationFile.write(
        ModelCompanions.path(model, Calibration.FILE), measure(Questions.ofNotes(4), 128));
    try (Knapsack knapsack = Knapsack.open(model, Data.host(budget), options)) {
      for (Question question : Questions.ofNotes(8)) {
        Request request = Request.of(knapsack.tokens(question.prompt(), true));
        try (Answer answer =
            knapsack.engine().start(request.withSampling(Sampling.GREEDY).withMaxTokens(24))) {
          assertThat(answer.text().strip()).isEqualTo(question.answer());
        }
      }
      long planned =
          knapsack.plan().shares().stream()
              .filter(share -> share.account().equals("kv"))
              .mapToLong(Plan.Share::bytes)
              .sum();
      assertThat(budget.account("kv").peak()).isPositive().isLessThanOrEqualTo(planned);
      assertThat(planned).isLessThan(1024 * 1024);
      assertThat(Plan.ofJson(knapsack.plan().toJson()).cache().policy())
          .isEqualTo(Recipe.of("duo(40%)"));
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void keysAndValuesTakeTheirNumbersFromDirectionsBesideTheModel(@TempDir Path folder)
      throws IOException {
    Path model = folder.resolve("notes.gguf");
    Files.copy(Data.path("notes/notes-2.6m-q8_0.gguf"), model);
    Path directions = ModelCompanions.path(model, HeadBases.FILE);
    found(Questions.ofNotes(8), 64).directions().write(directions);
    KvRecipes work =
        KvRecipes.of(
            model,
            Questions.ofNotes(20).subList(8, 20).stream().toList(),
            Optional.empty(),
            Integer.MAX_VALUE);
    List<KvTrial> trials = work.trials(List.of("cskv"), List.of(75, 25));
    assertThat(trials).extracting(KvTrial::name).containsExactly("cskv at 75 %", "cskv at 25 %");
    List<KvRecipeResult> results =
        work.measure(
            trials,
            false,
            (trial, context) ->
                Knapsack.open(
                    model,
                    Data.host(budget),
                    trial.apply(
                        Options.usual()
                            .withContext(context)
                            .withPrefillChunk(64)
                            .withPrefixes(false))),
            folder,
            (_, _) -> {});
    KvRecipeResult full = results.get(0);
    KvRecipeResult most = results.get(1);
    KvRecipeResult few = results.get(2);
    assertThat(most.right()).isEqualTo(full.right());
    assertThat(few.right()).isLessThan(full.right());
    assertThat(few.bytes()).isLessThan(most.bytes());
    // Whole pages of two forms, which say where tokens stand.
    assertThat(most.bytes()).isLessThanOrEqualTo(full.bytes() * 35 / 32);
    assertThat(budget.used()).isZero();
  }

  @Test
  void itNeedsQuestionsThatFitTheModel() {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    assertThatThrownBy(() -> Calibrating.of(model, List.of())).isInstanceOf(TextException.class);
    Question tooLong = new Question("long", "code ".repeat(3000), "code", "");
    assertThatThrownBy(() -> Calibrating.of(model, List.of(tooLong)))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("Question long");
  }
}
