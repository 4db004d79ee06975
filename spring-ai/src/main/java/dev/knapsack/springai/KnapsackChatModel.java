package dev.knapsack.springai;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.generation.Usage;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.chat.observation.ChatModelObservationDocumentation;
import org.springframework.ai.chat.observation.DefaultChatModelObservationConvention;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingManager;
import reactor.adapter.JdkFlowAdapter;
import reactor.core.publisher.Flux;

/**
 * Spring AI's chat model over a model in this process, which whoever opened it closes.
 *
 * <pre>{@code
 * try (Knapsack knapsack = Knapsack.open(Path.of("model.gguf"), Budget.of("2GiB"))) {
 *   ChatModel model = KnapsackChatModel.builder(knapsack).build();
 *   String answer = ChatClient.create(model).prompt("What fits in two gigabytes?").call().content();
 * }
 * }</pre>
 *
 * <p>A prompt's options take the place of the model's, as with Spring AI's own models; a {@code
 * ChatClient} puts those together first. Tools that options name are offered to the model, and
 * calls are part of the answer: executing them is the client's, or an advisor's. What cannot be
 * answered fails with Knapsack's exceptions, which say what would work. A thread that is
 * interrupted, or a subscriber that cancels, ends its answer. Safe for use by many threads.
 */
public final class KnapsackChatModel implements ChatModel {
  /** The name of the provider in observations. */
  public static final String PROVIDER = "knapsack";

  private static final ChatModelObservationConvention USUAL_CONVENTION =
      new DefaultChatModelObservationConvention();

  /** Tokens of all answers that have ended: of their prompts, of these cached ones, and written. */
  public record Totals(long promptTokens, long cachedTokens, long generatedTokens) {}

  private final Knapsack knapsack;
  private final KnapsackChatOptions options;
  private final ToolCallingManager tools;
  private final ObservationRegistry observations;
  private final @Nullable ChatModelObservationConvention convention;
  private final Answers answers = new Answers();

  private KnapsackChatModel(Builder builder) {
    this.knapsack = builder.knapsack;
    this.options = builder.options.forModel(knapsack.plan().model());
    this.tools = builder.tools;
    this.observations = builder.observations;
    this.convention = builder.convention;
  }

  public static Builder builder(Knapsack knapsack) {
    return new Builder(knapsack);
  }

  @Override
  public ChatResponse call(Prompt prompt) {
    Prompt asked = asked(prompt);
    ChatModelObservationContext context = context(asked, false);
    return Objects.requireNonNull(
        observation(context)
            .observe(() -> {
              ChatResponse response = answer(asked);
              context.setResponse(response);
              return response;
            }));
  }

  private ChatResponse answer(Prompt asked) {
    Generation answer = begin(asked);
    try (answer) {
      answer.message(); // waits for its end
      return new Responses(answer, name()).whole();
    } finally {
      answers.ended(answer.usage());
    }
  }

  /**
   * The answer in pieces, from when it is subscribed to, and no faster than they are requested: a
   * piece has text, or all that was thought so far, or one call of a tool; the last one has the
   * reason why it ended, and its usage.
   */
  @Override
  public Flux<ChatResponse> stream(Prompt prompt) {
    return Flux.deferContextual(view -> {
      Prompt asked = asked(prompt);
      ChatModelObservationContext context = context(asked, true);
      Observation observation = observation(context);
      observation.parentObservation(
          view.<Observation>getOrDefault(ObservationThreadLocalAccessor.KEY, null));
      // Eagerly: who has seen the end of the stream finds it observed.
      return Flux.using(
              observation::start,
              started -> pieces(asked, context).doOnError(started::error),
              Observation::stop,
              true)
          .contextWrite(with -> with.put(ObservationThreadLocalAccessor.KEY, observation));
    });
  }

  private Flux<ChatResponse> pieces(Prompt asked, ChatModelObservationContext context) {
    return Flux.using(
        () -> begin(asked),
        answer -> {
          Responses responses = new Responses(answer, name());
          return JdkFlowAdapter.flowPublisherToFlux(answer.publisher())
              .doOnComplete(() -> context.setResponse(responses.whole()))
              .mapNotNull(responses::piece);
        },
        answer -> {
          answer.close();
          answers.ended(answer.usage());
        },
        false);
  }

  private Generation begin(Prompt asked) {
    KnapsackChatOptions wanted = (KnapsackChatOptions) Objects.requireNonNull(asked.getOptions());
    answers.begun();
    try {
      GenerationRequest request =
          wanted.request(
              Conversations.messages(asked.getInstructions()),
              tools.resolveToolDefinitions(wanted));
      return knapsack.generate(request);
    } catch (RuntimeException | Error e) {
      answers.ended(Usage.NONE);
      throw e;
    }
  }

  /** The prompt with options of this model. */
  private Prompt asked(Prompt prompt) {
    KnapsackChatOptions wanted =
        prompt.getOptions() == null
            ? options
            : KnapsackChatOptions.of(prompt.getOptions()).forModel(name());
    return prompt.mutate().chatOptions(wanted).build();
  }

  private static ChatModelObservationContext context(Prompt asked, boolean streaming) {
    return ChatModelObservationContext.builder()
        .prompt(asked)
        .provider(PROVIDER)
        .streaming(streaming)
        .build();
  }

  private Observation observation(ChatModelObservationContext context) {
    return ChatModelObservationDocumentation.CHAT_MODEL_OPERATION.observation(
        convention, USUAL_CONVENTION, () -> context, observations);
  }

  private String name() {
    return knapsack.plan().model();
  }

  /** The options of prompts that have none. */
  @Override
  public KnapsackChatOptions getOptions() {
    return options;
  }

  /** The model itself. */
  public Knapsack knapsack() {
    return knapsack;
  }

  /** The tokens of all answers so far that have ended, cancelled ones included. */
  public Totals totals() {
    return answers.totals();
  }

  /**
   * Runs an action as soon as no answer of this chat model is under way: at once, or in the thread
   * that ends the last one. Answers that begin meanwhile are waited for, too.
   */
  public void whenIdle(Runnable action) {
    answers.whenNone(action);
  }

  /** Collects what a {@link KnapsackChatModel} is made of. */
  public static final class Builder {
    private final Knapsack knapsack;
    private KnapsackChatOptions options = KnapsackChatOptions.builder().build();
    private ToolCallingManager tools = ToolCallingManager.builder().build();
    private ObservationRegistry observations = ObservationRegistry.NOOP;
    private @Nullable ChatModelObservationConvention convention;

    private Builder(Knapsack knapsack) {
      this.knapsack = knapsack;
    }

    /** The options of prompts that have none. */
    public Builder options(KnapsackChatOptions value) {
      options = value;
      return this;
    }

    /** The one that knows the definitions of tools. */
    public Builder toolCallingManager(ToolCallingManager value) {
      tools = value;
      return this;
    }

    public Builder observationRegistry(ObservationRegistry value) {
      observations = value;
      return this;
    }

    public Builder observationConvention(ChatModelObservationConvention value) {
      convention = value;
      return this;
    }

    /**
     * The chat model.
     *
     * @throws IllegalArgumentException if the options name another model
     */
    public KnapsackChatModel build() {
      return new KnapsackChatModel(this);
    }
  }
}
