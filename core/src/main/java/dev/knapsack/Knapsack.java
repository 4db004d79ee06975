package dev.knapsack;

import dev.knapsack.GenerationRequest.Prompt;
import dev.knapsack.constraint.AnswerLanguage;
import dev.knapsack.constraint.Language;
import dev.knapsack.constraint.Languages;
import dev.knapsack.constraint.Masks;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Request;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.text.ChatTemplate;
import dev.knapsack.text.ChatTemplates;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.Tokenizer;
import dev.knapsack.text.answer.AnswerForm;
import dev.knapsack.text.answer.AnswerOutline;
import dev.knapsack.text.answer.AnswerReader;
import java.io.ByteArrayOutputStream;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A model, open inside a budget.
 *
 * <pre>{@code
 * try (Knapsack knapsack = Knapsack.open(Path.of("model.gguf"), Budget.of("2GiB"));
 *     Chat chat = knapsack.chat("You are brief.")) {
 *   for (String piece : chat.send("What fits in two gigabytes?")) {
 *     show(piece);
 *   }
 * }
 * }</pre>
 *
 * <p>Opening plans what gets which bytes, and loads the model as planned; closing gives every byte
 * back. Several may share a {@link Host}, and so one budget and one team of threads. Safe for use
 * by many threads.
 */
public final class Knapsack implements AutoCloseable {
  private final ModelFile file;
  private final Engine engine;
  private final Tokenizer tokenizer;
  private final ChatTemplates templates;
  private final boolean parseSpecial;
  private final Languages languages = new Languages(this::controlToken);

  private Knapsack(
      ModelFile file,
      Engine engine,
      Tokenizer tokenizer,
      ChatTemplates templates,
      boolean parseSpecial) {
    this.file = file;
    this.engine = engine;
    this.tokenizer = tokenizer;
    this.templates = templates;
    this.parseSpecial = parseSpecial;
  }

  /**
   * Opens a model, a GGUF file or a directory of safetensors, in a host of its own.
   *
   * @throws dev.knapsack.error.ModelFileException if it cannot be read or is not supported
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way: says how
   *     many bytes are missing, and what would fit
   */
  public static Knapsack open(Path model, Budget budget) {
    return open(model, new Host(budget), Options.usual());
  }

  /**
   * Opens a model as asked for, beside what else is open in a host.
   *
   * @throws PlanMismatchException if a plan was given that is not for this model
   * @throws dev.knapsack.error.BudgetExceededException if a plan was given that does not fit
   * @throws dev.knapsack.error.SpillException if the plan keeps cached tokens on disk, and the
   *     folder cannot be used for that
   */
  public static Knapsack open(Path model, Host host, Options options) {
    ModelFile file = ModelFile.open(model);
    // What planning starts is there for the model, too.
    try (Host.Tenant tenant = host.enter(Host.Share.USUAL)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      ChatTemplates templates = ChatTemplates.of(file.templates());
      ModelSpec spec = Families.spec(file);
      if (spec.encoding() != null) {
        throw new ModelFileException(
            file.path(),
            spec.family(),
            spec.encoding().scores()
                ? "is a reranker here, which writes no text; open it as one (Reranker, 'knapsack"
                    + " rerank')"
                : "is an embedding model here, which writes no text; open it as one (Embedder,"
                    + " 'knapsack embed')");
      }
      Plan plan = plan(file, tokenizer, host, tenant, options);
      Path spill = options.spill.orElseGet(() -> host.cache().resolve("spill"));
      Engine engine = Engine.open(file, tokenizer, plan, host, options.engine.withSpill(spill));
      return new Knapsack(file, engine, tokenizer, templates, options.parseSpecial);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /**
   * Opens an embedding model in a host of its own.
   *
   * @param location the path of a file or a directory, or {@code classpath:} and the name of a
   *     resource of the program, such as {@code classpath:all-minilm-l6-v2.onnx} of LangChain4j's
   *     artifacts
   * @throws dev.knapsack.error.ModelFileException if it cannot be read, is not supported, or is no
   *     embedding model
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   * @see Embedder#open(Path, Host, Options)
   */
  public static Embedder embedder(String location, Budget budget) {
    return Embedder.open(location, resources(), new Host(budget), Options.usual());
  }

  /**
   * Opens a reranker in a host of its own.
   *
   * @param location as of an {@linkplain #embedder embedding model}
   * @throws dev.knapsack.error.ModelFileException if it cannot be read, is not supported, or is no
   *     reranker
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   * @see Reranker#open(Path, Host, Options)
   */
  public static Reranker reranker(String location, Budget budget) {
    return Reranker.open(location, resources(), new Host(budget), Options.usual());
  }

  /** The resources of the program as the calling thread knows them. */
  private static ClassLoader resources() {
    ClassLoader known = Thread.currentThread().getContextClassLoader();
    return known != null ? known : ClassLoader.getSystemClassLoader();
  }

  /**
   * The plan by which {@link #open(Path, Host, Options)} would open a model, from its header; no
   * weights are loaded.
   *
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   */
  public static Plan plan(Path model, Host host, Options options) {
    try (ModelFile file = ModelFile.open(model);
        Host.Tenant tenant = host.enter(Host.Share.USUAL)) {
      // Opening has read the vocabulary and the templates when it plans: planning alone must find
      // as much of the process's memory taken, or it would accept a budget that opening refuses.
      Tokenizer tokenizer = Tokenizer.of(file);
      ChatTemplates templates = ChatTemplates.of(file.templates());
      try {
        return plan(file, host, tenant, options).withNotes(notes(file, tokenizer));
      } finally {
        Reference.reachabilityFence(tokenizer);
        Reference.reachabilityFence(templates);
      }
    }
  }

  /** The plan that was given, or is made now, with what there is to say of the model. */
  static Plan plan(
      ModelFile file, Tokenizer tokenizer, Host host, Host.Tenant tenant, Options options) {
    return options
        .plan
        .map(given -> checked(given, file))
        .orElseGet(() -> plan(file, host, tenant, options))
        .withNotes(notes(file, tokenizer));
  }

  private static Plan checked(Plan given, ModelFile file) {
    String name = Families.spec(file).name();
    if (!given.model().equals(name)) {
      throw new PlanMismatchException(
          "The plan is for %s, and %s is %s. Plan for this file."
              .formatted(given.model(), file.path(), name));
    }
    return given;
  }

  /** Sentences on what was replaced, left out or assumed in reading a model. */
  private static List<String> notes(ModelFile file, Tokenizer tokenizer) {
    List<String> notes = new ArrayList<>(file.notes());
    notes.addAll(tokenizer.notes());
    int rows = Families.spec(file).vocabulary();
    if (rows > tokenizer.size()) {
      notes.add(
          "the embedding has %,d rows and the tokenizer %,d tokens; no answer has one of the rows"
                  .formatted(rows, tokenizer.size())
              + " that are no token");
    } else if (rows < tokenizer.size()) {
      notes.add(
          "the tokenizer has %,d tokens and the embedding %,d rows; a prompt with one of the tokens"
                  .formatted(tokenizer.size(), rows)
              + " that have no row is refused");
    }
    return notes;
  }

  private static Plan plan(ModelFile file, Host host, Host.Tenant tenant, Options options) {
    int workers = options.workerCount();
    Planner planner = tenant.planner(file, workers);
    long room = Math.max(0, host.room(options.engine.share()) - options.engine.unplanned());
    return planner.plan(
        new PlanRequest(
            room,
            options.context,
            options.sequences,
            workers,
            options.cacheChoice,
            options.prefillChunk,
            options.constraints ? constraintBytes(Families.spec(file), room) : 0));
  }

  /** Bytes that constraints are to take; none for models that cannot be held to any. */
  private static long constraintBytes(ModelSpec spec, long room) {
    return spec.readsWholeTexts() || spec.diffusion() != null
        ? 0
        : Masks.planned(spec.vocabulary(), room);
  }

  /** The plan that it was opened by: who got which bytes, and what speed to expect. */
  public Plan plan() {
    return engine.plan();
  }

  /** The arithmetic in use, and why no faster one is: a line for people. */
  public String kernels() {
    return engine.kernels().reason();
  }

  /** The model's shape; for modules of Knapsack itself, to which alone its type is known. */
  public ModelSpec spec() {
    return engine.spec();
  }

  /** The model's tokenizer; for modules of Knapsack itself. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** The model's file; for modules of Knapsack itself, to which alone its type is known. */
  public ModelFile file() {
    return file;
  }

  /** The template of conversations with tools, or without; for modules of Knapsack itself. */
  public ChatTemplate template(boolean tools) {
    return templates.usual(tools);
  }

  public Budget budget() {
    return engine.budget();
  }

  /** Answers that have a sequence now. */
  public int running() {
    return engine.load().running();
  }

  /** Requests that wait for a sequence now. */
  public int waiting() {
    return engine.load().waiting();
  }

  /**
   * The engine, for all that is not text in and text out: measuring, evaluating, calibrating. For
   * modules of Knapsack itself, to which alone its type is known; it changes without notice.
   */
  public Engine engine() {
    return engine;
  }

  /**
   * The tokens of a conversation as the model's template writes it, up to where an answer begins.
   * Special tokens are those that the template writes; what messages have in their place is plain
   * text, unless {@link Options#withParseSpecial} wants it otherwise.
   *
   * @throws dev.knapsack.error.ContextExceededException if it is too long for the context whatever
   *     its tokens are; neither the template nor the tokenizer sees it then
   * @throws dev.knapsack.error.TemplateException if the template refuses the conversation, or is
   *     none
   * @throws dev.knapsack.error.UnsupportedMediaException if a message has a part that is no text
   */
  public int[] tokens(Conversation conversation) {
    return encoded(written(conversation));
  }

  private MarkedText written(Conversation conversation) {
    // Templates leave out blanks around a message, and parts of what the model itself has said.
    engine.checkLength(
        conversation.messages().stream()
            .filter(m -> m.role() == Role.USER || m.role() == Role.SYSTEM)
            .mapToLong(m -> m.text().strip().length())
            .sum());
    ChatTemplate template = template(conversation);
    return template.render(template.fit(input(conversation)).conversation());
  }

  private int[] encoded(MarkedText text) {
    engine.checkLength(text.length());
    return tokenizer.encode(parseSpecial ? MarkedText.control(text.text()) : text, true);
  }

  private ChatTemplate template(Conversation conversation) {
    return template(!conversation.tools().isEmpty());
  }

  /**
   * Sentences for the user on how a conversation is written: such as that the model has no
   * template, or that its template takes no tools, or no system message, and where its text goes.
   *
   * @throws dev.knapsack.error.TemplateException if the model's template is none
   */
  public List<String> notes(Conversation conversation) {
    List<String> notes = new ArrayList<>();
    if (templates.isEmpty()) {
      notes.add(
          "The model's files have no chat template; the conversation is written as ChatML, which"
              + " the model may not know.");
    }
    notes.addAll(template(conversation).fit(input(conversation)).notes());
    return notes;
  }

  private ChatTemplate.Input input(Conversation conversation) {
    return ChatTemplate.Input.of(conversation, bracket(tokenizer.bos()), bracket(tokenizer.eos()));
  }

  /**
   * The tokens of a text that begins a sequence.
   *
   * @param parseSpecial read special tokens written in the text as such
   * @throws dev.knapsack.error.ContextExceededException if it is too long for the context whatever
   *     its tokens are
   */
  public int[] tokens(String text, boolean parseSpecial) {
    engine.checkLength(text.length());
    return tokenizer.encode(text, true, parseSpecial);
  }

  /** The number of tokens of a text, however long, without those that begin a sequence. */
  public int count(String text) {
    return tokenizer.encode(text, false, false).length;
  }

  /**
   * The text of tokens, such as those of an {@link dev.knapsack.generation.Event.Alternative}; of
   * special ones too. What is a part of a character alone becomes U+FFFD.
   *
   * @throws IllegalArgumentException if one of them is none of the vocabulary's
   */
  public String text(int... tokens) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int token : tokens) {
      if (token < 0 || token >= tokenizer.size()) {
        throw new IllegalArgumentException(
            "Token %d is none of the vocabulary's %,d".formatted(token, tokenizer.size()));
      }
      bytes.writeBytes(tokenizer.bytes(token, true));
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private String bracket(int token) {
    return token < 0 ? "" : text(token);
  }

  /** A conversation. */
  public Chat chat() {
    return chat(Conversation.of());
  }

  /** A conversation that begins with instructions to the model. */
  public Chat chat(String system) {
    return chat(Conversation.of(Message.system(system)));
  }

  /** A conversation that goes on after this one, with its tools. */
  public Chat chat(Conversation said) {
    return new Chat(this, said);
  }

  /**
   * Answers a request; the answer is written as it is taken.
   *
   * @throws dev.knapsack.error.ConstraintException if the answer cannot be held to what is asked
   *     for
   * @throws dev.knapsack.error.ContextExceededException if the prompt does not fit in the context
   * @throws dev.knapsack.error.QueueFullException if as many wait for a sequence as may
   * @throws dev.knapsack.error.TemplateException if the model's template refuses the conversation
   */
  public Generation generate(GenerationRequest request) {
    return generate(request, 1).getFirst();
  }

  /**
   * Answers a request several times; its prompt is read once.
   *
   * @throws dev.knapsack.error.SequencesExceededException if the plan has fewer sequences; else as
   *     {@link #generate(GenerationRequest)}
   */
  public List<Generation> generate(GenerationRequest request, int samples) {
    return start(request, r -> engine.start(r, samples));
  }

  List<Generation> start(GenerationRequest request, Function<Request, List<Answer>> starter) {
    return switch (request.prompt()) {
      case Prompt.Tokens tokens ->
          started(starter, request.request(tokens.ids(), Set.of(), language(request.form())), null);
      case Prompt.Text(String text, boolean parse) ->
          started(
              starter,
              request.request(tokens(text, parse), Set.of(), language(request.form())),
              null);
      case Prompt.Talk(Conversation conversation) -> {
        AnswerForm form = AnswerForm.of(template(conversation).source());
        MarkedText text = written(conversation);
        List<Tool> tools = conversation.tools();
        int calls = conversation.messages().stream().mapToInt(m -> m.calls().size()).sum();
        Set<Integer> shown =
            form.tokens(tools).stream()
                .map(this::controlToken)
                .filter(t -> t >= 0)
                .collect(Collectors.toSet());
        AnswerOutline outline = form.outline(tools, text.text());
        Optional<Language> language =
            languages.of(
                request.form().constraint(),
                new AnswerLanguage.Calling(
                    tools, request.form().tools(), request.form().parallel()),
                outline);
        yield started(
            starter,
            request.request(encoded(text), shown, language),
            () -> form.reader(tools, text.text(), calls));
      }
    };
  }

  private Optional<Language> language(GenerationRequest.Form form) {
    return form.constraint().map(languages::of);
  }

  /** The control token that the vocabulary writes so, or -1. */
  private int controlToken(String text) {
    int token = tokenizer.find(text);
    return token >= 0 && tokenizer.isControl(token) ? token : -1;
  }

  private static List<Generation> started(
      Function<Request, List<Answer>> starter,
      Request request,
      @Nullable Supplier<AnswerReader> readers) {
    return starter.apply(request).stream().map(answer -> new Generation(answer, readers)).toList();
  }

  /** Ends all answers and gives every byte back. */
  @Override
  public void close() {
    try (file) {
      engine.close();
    }
  }
}
