package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.memory.Lease;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import dev.knapsack.serve.openai.Embeddings;
import dev.knapsack.serve.openai.OpenAiErrors;
import dev.knapsack.serve.openai.Question;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A file of requests and the files of their results. Results are on the disk one by one, in the
 * order in which they are there; a batch that was ended at any moment goes on where it was when it
 * is run again.
 *
 * @param in requests, as OpenAI's batches have them
 * @param out takes results
 * @param errors takes those of requests that were refused or went wrong
 * @param tenant whom the requests are for
 * @param alone whether nobody else asks; else a quarter of the sequences is left to others, who go
 *     first
 */
public record Batch(Path in, Path out, Path errors, String tenant, boolean alone) {
  /** Below that of every key. */
  private static final int LAST = Integer.MIN_VALUE;

  /** The progress of a batch: its requests, and those that have a result or an error. */
  public record Counts(int total, int completed, int failed) {
    public int left() {
      return total - completed - failed;
    }
  }

  /** A run of it. */
  private final class Run {
    private final ServedModels models;
    private final RequestFile requests;
    private final ResultFile results;
    private final ResultFile failures;
    private final Consumer<Counts> progress;
    private final AtomicInteger completed;
    private final AtomicInteger failed;

    /** Lines that ask for vectors and have no result yet. */
    private final List<Integer> embeddings = new ArrayList<>();

    Run(
        ServedModels models,
        RequestFile requests,
        ResultFile results,
        ResultFile failures,
        Consumer<Counts> progress) {
      this.models = models;
      this.requests = requests;
      this.results = results;
      this.failures = failures;
      this.progress = progress;
      this.completed = new AtomicInteger(results.ids().size());
      this.failed = new AtomicInteger(failures.ids().size());
    }

    Counts counts() {
      return new Counts(requests.size(), completed.get(), failed.get());
    }

    /** The prompts of each model's requests that have no result yet. */
    Map<ServedModel, List<BatchPrompt>> prompts(Lease held, BooleanSupplier ended)
        throws IOException {
      Map<ServedModel, List<BatchPrompt>> prompts = new LinkedHashMap<>();
      for (int line = 0; line < requests.size() && !ended.getAsBoolean(); line++) {
        String id = requests.id(line);
        held.grow(RequestFile.held(id));
        if (!results.ids().contains(id) && !failures.ids().contains(id)) {
          try {
            if (url(line).equals(Embeddings.PATH)) {
              embeddings.add(line);
              continue;
            }
            Question question = question(line);
            BatchPrompt prompt = prompt(line, question);
            held.grow(64 + 8L * prompt.blocks().length);
            prompts.computeIfAbsent(question.model(), _ -> new ArrayList<>()).add(prompt);
          } catch (UncheckedIOException e) {
            throw e;
          } catch (RuntimeException e) {
            refuse(line, Refusal.of(e, 1));
          }
        }
      }
      return prompts;
    }

    private BatchPrompt prompt(int line, Question question) {
      Knapsack model = question.model().knapsack();
      GenerationRequest request = question.prompts().getFirst();
      int[] tokens =
          switch (request.prompt()) {
            case GenerationRequest.Prompt.Talk(var conversation) -> model.tokens(conversation);
            case GenerationRequest.Prompt.Text(String text, boolean parse) ->
                model.tokens(text, parse);
            case GenerationRequest.Prompt.Tokens given -> given.ids();
          };
      int room = Math.max(0, model.plan().context() - tokens.length);
      KvLayout layout = model.engine().kvLayout();
      // Sequences that forget share nothing, and none is to wait for another.
      int page = layout.policy().equals(KvPolicy.FULL) ? layout.pageTokens() : Integer.MAX_VALUE;
      return new BatchPrompt(
          line, BatchPrompt.blocks(tokens, page), Math.min(room, request.maxTokens()));
    }

    private String url(int line) {
      return Fields.of(requests.request(line)).needed("url");
    }

    /** The request of a line. */
    Fields body(int line) {
      Fields request = Fields.of(requests.request(line));
      String method = request.text("method", "POST");
      if (!method.equals("POST")) {
        throw request.refusal("method", "is '%s'; it must be POST".formatted(method));
      }
      return request
          .object("body")
          .map(inner -> Fields.of(inner.json())) // whose errors name its own fields
          .orElseThrow(() -> request.refusal("body", "is missing; it must be an object"));
    }

    /** The question that a line asks. */
    Question question(int line) {
      Question question = Question.of(url(line), models, body(line));
      return new Question(
          question.model(),
          question.prompts().stream()
              .map(prompt -> prompt.withTenant(tenant).withPriority(alone ? 0 : LAST))
              .toList(),
          question.samples(),
          question.reply());
    }

    void succeed(int line, JsonObject body) throws IOException {
      results.add(result(line, 200, body));
      completed.incrementAndGet();
      progress.accept(counts());
    }

    /**
     * Writes an error, unless the server is about to end.
     *
     * @throws Refusal then
     */
    void refuse(int line, Refusal refusal) throws IOException {
      if (refusal.kind() == Refusal.Kind.CLOSING) {
        throw refusal;
      }
      OpenAiErrors form = new OpenAiErrors();
      failures.add(result(line, form.status(refusal), form.body(refusal)));
      failed.incrementAndGet();
      progress.accept(counts());
    }

    private JsonObject result(int line, int status, JsonObject body) {
      return Json.object(
          "id",
          Ids.next("batch_req_"),
          "custom_id",
          requests.id(line),
          "response",
          Json.object("status_code", status, "request_id", Ids.next("req_"), "body", body),
          "error",
          Json.nothing());
    }
  }

  /**
   * Answers all requests that have no result yet.
   *
   * @param ended says whether to leave the rest for another time
   * @param progress is told of each result, by any thread
   * @return how far it has come
   * @throws BatchFileException if the file of requests cannot be used, or a file of results is not
   *     this one's
   * @throws dev.knapsack.error.BudgetExceededException if the budget has no room for the order of
   *     the requests
   * @throws InterruptedException if it is interrupted, with no more under way
   */
  public Counts run(ServedModels models, BooleanSupplier ended, Consumer<Counts> progress)
      throws IOException, InterruptedException {
    try (RequestFile requests = RequestFile.open(in);
        ResultFile results = ResultFile.open(out);
        ResultFile failures = ResultFile.open(errors);
        Lease held = models.budget().account("batch").reserve(0)) {
      checkResults(requests, results, out);
      checkResults(requests, failures, errors);
      Run run = new Run(models, requests, results, failures, progress);
      for (Map.Entry<ServedModel, List<BatchPrompt>> of : run.prompts(held, ended).entrySet()) {
        new BatchFlight(of.getKey(), BatchPrompt.ordered(of.getValue()), atOnce(of.getKey()), ended)
            .run(
                run::question,
                (line, body) -> run.succeed(line, body),
                (line, refusal) -> run.refuse(line, refusal));
      }
      new EmbeddingFlight(
              run.embeddings,
              run::body,
              body -> Embeddings.reply(models, body),
              run::succeed,
              run::refuse,
              ended)
          .run();
      return run.counts();
    }
  }

  /**
   * Checks its files, before a model is loaded for it.
   *
   * @throws BatchFileException as {@link #run}
   */
  public void check() throws IOException {
    try (RequestFile requests = RequestFile.open(in);
        ResultFile results = ResultFile.open(out);
        ResultFile failures = ResultFile.open(errors)) {
      checkResults(requests, results, out);
      checkResults(requests, failures, errors);
    }
  }

  /** Requests in flight: where nobody else asks, some wait so that no sequence is idle. */
  private int atOnce(ServedModel model) {
    int sequences = model.knapsack().plan().sequences();
    return alone ? sequences + Math.max(1, sequences / 2) : Math.max(1, sequences * 3 / 4);
  }

  private static void checkResults(RequestFile requests, ResultFile results, Path path)
      throws BatchFileException {
    for (String id : results.ids()) {
      if (!requests.has(id)) {
        throw new BatchFileException(
            0,
            "%s: has a result of '%s', which is not asked for; give a file of its own to each batch"
                .formatted(path, id));
      }
    }
  }
}
