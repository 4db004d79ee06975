package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.Gson;
import dev.knapsack.memory.Budget;
import java.io.File;
import java.io.StringWriter;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A program that requires the module chats through its door, and sees no room behind it. */
class ModuleTest {
  private static final String MODULE =
      """
      module guest {
        requires dev.knapsack;
      }
      """;

  private static final String GUEST =
      """
      package guest;

      import dev.knapsack.Chat;
      import dev.knapsack.Knapsack;
      import dev.knapsack.Options;
      import dev.knapsack.error.ConstraintException;
      import dev.knapsack.generation.Event;
      import dev.knapsack.generation.Sampling;
      import dev.knapsack.host.Host;
      import dev.knapsack.memory.Budget;
      import dev.knapsack.plan.KvChoice;
      import dev.knapsack.plan.Plan;
      import java.nio.file.Path;

      public class Guest {
        record Answer(boolean yes) {}

        public static void main(String[] args) {
          Budget budget = Budget.of("64MiB");
          Host host = new Host(budget, Host.Options.usual().withCache(Path.of(args[1])));
          Options options =
              Options.usual()
                  .withWorkers(1)
                  .withCacheFormat(KvChoice.parse("f16", "full"))
                  .withShare(new Host.Share("guest", 1 << 20, 1));
          Plan plan = Knapsack.plan(Path.of(args[0]), host, options);
          try (Knapsack model =
                  Knapsack.open(
                      Path.of(args[0]), host, options.withPlan(Plan.ofJson(plan.toJson())));
              Chat chat = model.chat("Be kind.")) {
            System.out.println(Guest.class.getModule() + ", " + Chat.class.getModule());
            chat.send("Tell me a story.", r -> r.withMaxTokens(5).withSampling(Sampling.GREEDY))
                .events()
                .forEach(
                    event -> {
                      if (event instanceof Event.End end) {
                        System.out.println(end.reason());
                      }
                    });
            try {
              chat.send("Is it so?", Answer.class);
            } catch (ConstraintException e) {
              System.out.println(e.getMessage());
            }
          }
          System.out.println(budget.used() + " bytes left");
        }
      }
      """;

  private static final String INTRUDER =
      """
      package guest;

      class Intruder {
        dev.knapsack.kernel.Kernels kernels;
        dev.knapsack.cache.KvCache cache;
        dev.knapsack.engine.Engine engine;
        dev.knapsack.os.DirectFile file;
        dev.knapsack.planner.Planner planner;
      }
      """;

  @TempDir Path folder;

  private static Path home(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static String modulePath() throws Exception {
    return Stream.of(home(Budget.class), home(Gson.class), home(NullMarked.class))
        .map(Path::toString)
        .collect(Collectors.joining(File.pathSeparator));
  }

  private static JavaFileObject source(String name, String text) {
    return new SimpleJavaFileObject(URI.create("string:///" + name), JavaFileObject.Kind.SOURCE) {
      @Override
      public CharSequence getCharContent(boolean ignoreEncodingErrors) {
        return text;
      }
    };
  }

  /** The messages of the compiler; empty if it had nothing to say. */
  private String compile(JavaFileObject... sources) throws Exception {
    StringWriter messages = new StringWriter();
    ToolProvider.getSystemJavaCompiler()
        .getTask(
            messages,
            null,
            null,
            List.of(
                "-p",
                modulePath(),
                "-d",
                folder.resolve("guest").toString(),
                "-proc:none",
                "-Xlint:-incubating"),
            null,
            List.of(sources))
        .call();
    return messages.toString();
  }

  @Test
  void aGuestChats() throws Exception {
    assertThat(compile(source("module-info.java", MODULE), source("guest/Guest.java", GUEST)))
        .isEmpty();
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=dev.knapsack",
                "-p",
                modulePath() + File.pathSeparator + folder.resolve("guest"),
                "-m",
                "guest/guest.Guest",
                TestData.path("models/stories260K.gguf").toString(),
                folder.resolve("cache").toString()));
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(said).isZero();
    assertThat(said.lines())
        .containsExactly(
            "module guest, module dev.knapsack",
            "MAX_TOKENS",
            "Answer: cannot be made: its module does not let others in. Write 'opens guest to"
                + " dev.knapsack;' there.",
            "0 bytes left");
  }

  @Test
  void roomsAreClosed() throws Exception {
    String messages =
        compile(source("module-info.java", MODULE), source("guest/Intruder.java", INTRUDER));
    assertThat(messages)
        .contains("package dev.knapsack.kernel is not visible")
        .contains("package dev.knapsack.cache is not visible")
        .contains("package dev.knapsack.engine is not visible")
        .contains("package dev.knapsack.os is not visible")
        .contains("package dev.knapsack.planner is not visible");
  }

  @Test
  void theDoorIsSmall() throws Exception {
    ModuleReference module = ModuleFinder.of(home(Budget.class)).find("dev.knapsack").orElseThrow();
    Set<String> exported =
        module.descriptor().exports().stream()
            .map(ModuleDescriptor.Exports::source)
            .collect(Collectors.toSet());
    List<Class<?>> types = new ArrayList<>();
    try (ModuleReader reader = module.open();
        Stream<String> files = reader.list()) {
      for (String file : files.filter(f -> f.matches("dev/[^$-]+\\.class")).toList()) {
        Class<?> type = Class.forName(file.replace('/', '.').replaceFirst("\\.class$", ""));
        if (exported.contains(type.getPackageName()) && Modifier.isPublic(type.getModifiers())) {
          types.add(type);
        }
      }
    }
    assertThat(types).contains(Knapsack.class, Budget.class).hasSizeLessThanOrEqualTo(58);
  }
}
