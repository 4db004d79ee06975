package dev.knapsack.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.Chat;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Tool;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack run}: chats with a model, or answers one prompt. */
@Command(
    name = "run",
    sortOptions = false,
    description =
        "Chats with a model, or answers one prompt (-p, or standard input that is no terminal).",
    footer = {
      "",
      "The answer alone goes to standard output, everything else to standard error: also what a",
      "model thinks before it answers, where its template tells the two apart.",
      "A chat and --stats say first which kernels compute, and why not faster ones.",
      "In a chat Ctrl-C stops an answer, Ctrl-D ends; /help lists the commands.",
      "",
      "  knapsack run                                the model inside Knapsack",
      "  knapsack run model.gguf --memory 1GiB       chat inside 1 GiB",
      "  knapsack run model.gguf -p 'Why is the sky blue?' --stats",
      "  knapsack run model.gguf --session notes     go on where this chat was left",
      "  echo 'Once upon a time' | knapsack run model.gguf --raw -n 100",
    })
final class RunCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Option(
      names = {"-p", "--prompt"},
      paramLabel = "TEXT",
      description = "Answer this and end.")
  private @Nullable String prompt;

  @Option(
      names = "--raw",
      description =
          "Continue the prompt as it is, without the model's chat template; special tokens that are"
              + " written out in it are read as such.")
  private boolean raw;

  @Option(
      names = "--parse-special",
      description =
          "Read special tokens that are written out in what is said (such as <|im_end|>) as such."
              + " Without it they are plain text, so that no message can begin or end a turn.")
  private boolean parseSpecial;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description =
          "Instructions that the conversation begins with; they go before the first message where"
              + " the model's template takes none.")
  private @Nullable String system;

  @Option(
      names = "--tools",
      paramLabel = "FILE",
      description =
          "Tools that the model may call: a JSON list, as the OpenAI API has it. Calls are printed"
              + " as JSON, one a line.")
  private @Nullable Path tools;

  @Mixin private final ConstraintOptions form = new ConstraintOptions();

  @Option(
      names = {"-n", "--max-tokens"},
      paramLabel = "N",
      description =
          "Tokens of an answer at the most (default: until the model ends it; 128 where a model"
              + " denoises).")
  private int maxTokens = Integer.MAX_VALUE;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End an answer before this text; may be given several times.")
  private List<String> stops = new ArrayList<>();

  @Option(
      names = "--samples",
      paramLabel = "N",
      description = "Several answers to one prompt, which is read once (default: 1).")
  private int samples = 1;

  @Option(
      names = "--session",
      paramLabel = "NAME",
      description =
          "A chat that has a name: it goes on where it was left, without reading what was said"
              + " again; 'sessions' lists them. All that is cached of them has at most 4 GiB, or"
              + " $KNAPSACK_SESSIONS_MAX.")
  private @Nullable String session;

  @Option(names = "--ignore-end", description = "Go on when the model ends its answer.")
  private boolean ignoreEnd;

  @Option(
      names = "--shift",
      arity = "0..1",
      paramLabel = "KEEP",
      fallbackValue = "0",
      description =
          "When the context is full, keep the first KEEP tokens and the last half of the rest and"
              + " go on; without it, stop.")
  private @Nullable Integer shift;

  @Option(
      names = "--json",
      description =
          "Print one JSON object: text, tokens, why it ended, predicted and measured figures.")
  private boolean json;

  @Option(
      names = "--stats",
      description = "Say at the end what was predicted and what was measured.")
  private boolean stats;

  /** True where the likeliest answer is the best: of what denoises, and of what states facts. */
  private boolean likeliest;

  /** The form that answers are held to, as the options say. */
  private Optional<Constraint> constraint = Optional.empty();

  private List<String> notes = List.of();
  @Mixin private final EngineOptions engine;
  @Mixin private final SamplingOptions sampling = new SamplingOptions();

  RunCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    StandardStreams streams = environment.streams();
    boolean chat = prompt == null && !raw && !json && streams.isInteractive();
    String text = prompt != null || chat ? prompt : streams.text().stripTrailing();
    if (!chat && !raw && (text == null || text.isBlank())) {
      throw new IllegalArgumentException(
          "The prompt is empty; give one with -p or on standard input." + model.taken());
    }
    if (samples < 1) {
      throw new IllegalArgumentException("--samples must be 1 or more, not " + samples);
    }
    if (session != null) {
      CacheStore.checkName(session);
      if (raw || samples > 1) {
        throw new IllegalArgumentException(
            "--session keeps a chat, and --raw and --samples are none; leave them out.");
      }
    }
    likeliest = model.embedded();
    constraint = form.constraint();
    adjust(
        GenerationRequest.ofTokens(
            0)); // what cannot be asked for is refused before anything is loaded
    List<Tool> offered = tools == null ? List.of() : ToolFile.read(tools);
    engine.useSequences(samples);
    engine.useParseSpecial(parseSpecial);
    constraint.ifPresent(_ -> engine.useConstraints());
    try (Knapsack knapsack = engine.open(engine.path(model))) {
      likeliest |= knapsack.spec().diffusion() != null;
      knapsack.plan().notes().forEach(note -> streams.err().println("note: " + note));
      if (chat || stats) {
        streams.err().println("kernels: " + knapsack.kernels());
      }
      if (chat) {
        streams.err().println(welcome(knapsack));
        chat(knapsack, offered, streams);
      }
      int code = chat ? 0 : say(knapsack, offered, text == null ? "" : text, streams);
      knapsack.engine().prefixes().stopped().ifPresent(streams.err()::println);
      return code;
    }
  }

  private int say(Knapsack knapsack, List<Tool> offered, String text, StandardStreams streams)
      throws IOException {
    if (session == null) {
      return answer(knapsack, start(knapsack, offered, text), streams);
    }
    NamedChat named = named(session);
    try (Chat talk = named.open(knapsack, system, offered)) {
      Generation said = talk.send(text, this::adjust);
      note(knapsack, talk.conversation());
      int code = answer(knapsack, List.of(said), streams);
      named.save(talk);
      return code;
    }
  }

  private void chat(Knapsack knapsack, List<Tool> offered, StandardStreams streams)
      throws IOException {
    try (Prompt user = streams.prompt(TerminalPrompt.historyIn(environment.data()));
        EngineTalk talk = talk(knapsack, offered)) {
      new ChatLoop(talk, user, streams.answers(), streams.err()).run();
      if (stats) {
        streams.err().println(talk.report());
      }
      talk.save();
    }
  }

  private EngineTalk talk(Knapsack knapsack, List<Tool> offered) throws IOException {
    if (session == null) {
      return new EngineTalk(knapsack, knapsack.chat(begun(offered)), this::adjust, null);
    }
    NamedChat named = named(session);
    return new EngineTalk(knapsack, named.open(knapsack, system, offered), this::adjust, named);
  }

  /** The conversation before anything is said. */
  private Conversation begun(List<Tool> offered) {
    List<Message> instructions =
        system == null || system.isEmpty() ? List.of() : List.of(Message.system(system));
    return Conversation.of(instructions).withTools(offered);
  }

  private NamedChat named(String name) {
    return new NamedChat(name, new SavedChats(environment), environment.streams().err());
  }

  private int answer(Knapsack knapsack, List<Generation> answers, StandardStreams streams) {
    AnswerStream out = streams.answers();
    for (int i = 0; i < answers.size(); i++) {
      Generation answer = answers.get(i);
      if (!json && answers.size() > 1) {
        streams.err().println("--- " + (i + 1) + " of " + answers.size());
      }
      if (json) {
        streams
            .out()
            .println(
                new GsonBuilder().disableHtmlEscaping().create().toJson(object(knapsack, answer)));
      } else {
        if (!raw) {
          out.begin();
        }
        Parts.of(
            answer,
            part -> {
              out.write(part);
              if (out.isClosed()) {
                answer.cancel();
              }
            });
        out.end();
      }
      if (answer.finishReason().orElseThrow() == FinishReason.CONTEXT_FULL) {
        streams
            .err()
            .println(
                "[the context of "
                    + knapsack.plan().context()
                    + " tokens is full: --ctx makes it longer"
                    + (knapsack.spec().diffusion() == null ? ", --shift goes on]" : "]"));
      }
    }
    if (stats) {
      streams.err().print(Report.of(knapsack, answers.getFirst().usage(), samples).text());
    }
    answers.forEach(Generation::close);
    return 0;
  }

  private List<Generation> start(Knapsack knapsack, List<Tool> offered, String text) {
    if (raw) {
      return knapsack.generate(adjust(GenerationRequest.ofText(text, true)), samples);
    }
    Conversation asked = begun(offered).withMessage(Message.user(text));
    note(knapsack, asked);
    return knapsack.generate(adjust(GenerationRequest.of(asked)), samples);
  }

  /** Says what the user should know of how a conversation is written. */
  private void note(Knapsack knapsack, Conversation conversation) {
    notes = knapsack.notes(conversation);
    notes.forEach(environment.streams().err()::println);
  }

  /** A request as the options want it. */
  private GenerationRequest adjust(GenerationRequest request) {
    Sampling base = likeliest ? Sampling.GREEDY : Sampling.DEFAULT;
    GenerationRequest adjusted =
        request
            .withMaxTokens(maxTokens)
            .withSampling(sampling.sampling(base))
            .withStops(stops.toArray(String[]::new))
            .withIgnoreEnd(ignoreEnd);
    GenerationRequest held = constraint.map(adjusted::withConstraint).orElse(adjusted);
    return shift == null ? held : held.withOverflow(new Overflow.Shift(shift));
  }

  private JsonObject object(Knapsack knapsack, Generation answer) {
    JsonObject object = new JsonObject();
    Message said = answer.message();
    object.addProperty("text", said.text());
    if (!said.parts().stream().allMatch(Part.Text.class::isInstance)) {
      object.add("parts", MessageJson.write(said.parts()));
    }
    JsonArray tokens = new JsonArray();
    for (int token : answer.tokens()) {
      tokens.add(token);
    }
    object.add("tokens", tokens);
    object.addProperty(
        "finish", answer.finishReason().orElseThrow().name().toLowerCase(Locale.ROOT));
    object.addProperty("seed", answer.seed());
    object.addProperty("reproducible", answer.isReproducible());
    object.addProperty("kernels", knapsack.engine().kernels().kernels().name());
    JsonArray told = new JsonArray();
    knapsack.plan().notes().forEach(told::add);
    notes.forEach(told::add);
    object.add("notes", told);
    Report.of(knapsack, answer.usage(), samples).addTo(object);
    return object;
  }

  private String welcome(Knapsack knapsack) {
    String inside =
        "%s, %,d tokens of context, %s of %s planned"
            .formatted(
                knapsack.plan().model(),
                knapsack.plan().context(),
                Budget.formatSize(knapsack.plan().bytes()),
                Budget.formatSize(knapsack.plan().budget()));
    if (!model.embedded()) {
      return inside + "\n/help lists the commands, Ctrl-D ends.\n";
    }
    return inside
        + """


        This is the model inside Knapsack: 2.6 million parameters that keep notes and answer questions
        about them. It knows its few kinds of sentences and nothing of the world. Tell it, for example,

          Dan put the blue ring in the library. Kate's number is 4821. The tennis meeting is on Monday.

        and then ask: Where is the blue ring?   What is Kate's number?   When is the tennis meeting?
        For a real model: knapsack run model.gguf, or knapsack run hf:OWNER/REPO.
        /help lists the commands, Ctrl-D ends.
        """;
  }
}
