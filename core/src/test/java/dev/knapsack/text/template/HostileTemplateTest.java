package dev.knapsack.text.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.TemplateException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** No template hangs the program, fills the heap or overflows the stack. */
class HostileTemplateTest {
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-03-07T15:04:05Z"), ZoneOffset.UTC);

  /** Smaller than any thread's stack that a program is likely to render on. */
  private static final long STACK = 512 << 10;

  private static final Map<String, Object> CONVERSATION =
      Map.of(
          "messages",
          List.of(
              Map.of("role", "system", "content", "Be brief."),
              Map.of("role", "user", "content", "What is the weather in Bern?"),
              Map.of(
                  "role",
                  "assistant",
                  "content",
                  "<think>\nI must look.\n</think>\n\nLet me see.",
                  "tool_calls",
                  List.of(
                      Map.of(
                          "function",
                          Map.of("name", "weather", "arguments", Map.of("city", "Bern"))))),
              Map.of("role", "tool", "content", "{\"sky\": \"grey\"}"),
              Map.of("role", "user", "content", "And tomorrow?")),
          "tools",
          List.of(
              Map.of(
                  "type",
                  "function",
                  "function",
                  Map.of(
                      "name",
                      "weather",
                      "description",
                      "The weather of a city.",
                      "parameters",
                      Map.of(
                          "type",
                          "object",
                          "required",
                          List.of("city"),
                          "properties",
                          Map.of(
                              "city",
                              Map.of("type", "string", "description", "Its name"),
                              "days",
                              Map.of("type", "array", "items", Map.of("type", "integer"))))))),
          "bos_token",
          "<s>",
          "eos_token",
          "</s>",
          "add_generation_prompt",
          true);

  private static String render(String source) {
    return Template.parse(source).render(CONVERSATION, CLOCK).text();
  }

  /** Renders on a thread with a small stack, so that the limit on depth must hold there too. */
  private static void refusedForLimit(String source, String limit) throws InterruptedException {
    FutureTask<String> rendering = new FutureTask<>(() -> render(source));
    Thread thread = new Thread(null, rendering, "small stack", STACK);
    thread.start();
    thread.join();
    assertThatThrownBy(rendering::get)
        .isInstanceOf(ExecutionException.class)
        .cause()
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("limit")
        .hasMessageContaining(limit);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
        "{% set r = range(9999) %}{% for a in r %}{% if r == r %}{% endif %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40)"
            + " }}",
        "{% set h = 'a' * 1000000 %}{% set n = 'a' * 900000 ~ 'b' %}{{ n in h }}",
        "{% set h = 'a' * 1000000 %}{% set n = 'a' * 900000 ~ 'b' %}{{ h|replace(n, '') }}",
        "{% set h = 'a' * 2000000 %}{% for i in range(99999) %}{{ 'b' in h }}{% endfor %}",
      })
  void endless(String source) throws InterruptedException {
    refusedForLimit(source, "steps");
  }

  /** Each is no more than a few steps, if the length of what it reads did not count. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "h|length",
        "h[7] == 1",
        "h is upper",
        "h.isdigit()",
        "h.islower() or h.istitle()",
        "h.startswith(h)",
        "h.find('z', 5, -5) == 1",
        "{}[h]",
        "{h: 1}[h]",
        "m[h]",
        "m.get(h)",
        "h == g",
        "h < g",
        "g|int",
        "g|float",
        "l.count(2)",
        "l.index(3)",
        "2 in l",
        "2 in l.items",
        "('%.1s' % h) == 1",
        "1e-300|round(300)|round(300)|round(300)",
        "('%.0e%.0e%.0e' % (1e300, 1e300, 1e300)) == 1",
      })
  void whatTakesLongCountsAsMuch(String condition) {
    String source =
        "{% set h = 'ä🙂' * 100000 %}{% set g = ' ' * 300000 %}{% set l = [1] * 20000 + [3] %}{%"
            + " set m = {'a': 1} %}{% for i in range(2500) %}{% if "
            + condition.replace("l.items", "l|map('int')")
            + " %}{% endif %}{% endfor %}";
    Template template = Template.parse(source, new Limits(1 << 16, 64, 250, 300_000, 8 << 20, 1));
    assertThatThrownBy(() -> template.render(Map.of(), CLOCK))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("more than the limit of");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ 'x' * 10 ** 12 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ [0] * 10 ** 18 }}",
        "{% set n = namespace(s='x') %}{% for i in range(99999) %}{% set n.s = n.s ~ n.s %}{%"
            + " endfor %}",
        "{% set n = namespace(s='x') %}{% for i in range(99999) %}{% set n.s = n.s + n.s %}{%"
            + " endfor %}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor"
            + " %}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor"
            + " %}{{ n.l }}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor"
            + " %}{{ n.l|tojson }}",
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = [n.s, n.s]|join(n.s)"
            + " %}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s.replace('x', 'xx')"
            + " %}{% endfor %}",
        "{% for i in range(99999) %}{{ 'some words, and some more, that fill the output at its end'"
            + " }}{% endfor %}",
        "{{ 'x'.center(2000000000) }}",
        "{{ '7'.zfill(2000000000) }}",
        "{{ 'x'|indent(2000000000, true) }}",
        "{{ [1]|tojson(indent=2000000000) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ [1]|batch(2000000000, 0)|list }}",
        "{% set n = namespace() %}{% for i in range(99999) %}{% set n.a = range(9999)|list %}{%"
            + " endfor %}",
        "{{ ('a,' * 1000000).split(',') }}",
        "{% for c in 'a' * 1000000 %}{% endfor %}",
        "{{ ('ß' * 2000000)|upper }}",
        "{{ ('İ' * 1500000)|lower }}",
        "{{ '{:2000000000}'.format(1) }}",
        "{{ '{:02000000000,}'.format(1) }}",
        "{{ '%.2000000000d' % 1 }}",
        "{{ '%*d' % (2000000000, 1) }}",
        "{{ 'x'|center(2000000000) }}",
        "{{ [1]|slice(2000000000)|list }}",
        "{{ ('\\t' * 9).expandtabs(2000000000) }}",
        "{{ ('a-' * 500000)|wordwrap(5) }}",
        "{{ ('a ' * 900000)|pprint }}",
        "{% set n = namespace(m={}) %}{% for i in range(99999) %}{% set n.m = dict(n.m,"
            + " **{i|string: i}) %}{% endfor %}",
      })
  void growing(String source) throws InterruptedException {
    refusedForLimit(source, "characters");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{% if x %}{% for i in [1] %}{{ f(x) | upper }}{% endfor %}{% endif %}"
            + "{% endmacro %}{{ f(1) }}",
        "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set n = namespace(g=[1]) %}{% for i in range(9999) %}{% set n.g = n.g|map('string')"
            + " %}{% endfor %}{{ n.g|list }}",
        "{% set n = namespace(t=(1,)) %}{% for i in range(9999) %}{% set n.t = (n.t,) %}{% endfor"
            + " %}{{ [n.t, n.t]|unique|list }}",
      })
  void recursion(String source) throws InterruptedException {
    refusedForLimit(source, "deeper");
  }

  @Test
  void nesting() throws InterruptedException {
    int many = 20_000;
    refusedForLimit("{{ " + "(".repeat(many) + "1" + ")".repeat(many) + " }}", "deeper");
    refusedForLimit("{{ " + "[".repeat(many) + "]".repeat(many) + " }}", "deeper");
    refusedForLimit("{{ " + "{1:".repeat(many) + "1" + "}".repeat(many) + " }}", "deeper");
    refusedForLimit("{{ " + "- ".repeat(many) + "1 }}", "deeper");
    refusedForLimit("{{ " + "1 if 1 else ".repeat(many) + "1 }}", "deeper");
    refusedForLimit("{{ " + "1 + ".repeat(many) + "1 }}", "deeper");
    refusedForLimit("{{ 1" + "|string".repeat(many) + " }}", "deeper");
    refusedForLimit("{{ x" + "[0]".repeat(many) + " }}", "deeper");
    refusedForLimit("{{ " + "1 or ".repeat(many) + "1 }}", "deeper");
    refusedForLimit("{% if 1 %}".repeat(many / 2) + "{% endif %}".repeat(many / 2), "deeper");
    refusedForLimit("{% set " + "(".repeat(many) + "a" + ")".repeat(many) + " = 1 %}", "deeper");
    refusedForLimit("{{ f(" + "f(".repeat(many) + ")".repeat(many) + ") }}", "deeper");
    assertThat(render("{{ " + "not ".repeat(many) + "true }}")).isEqualTo("True");
    assertThat(render("{{ 1" + " ~ 1".repeat(many) + " }}")).hasSize(many + 1);
    assertThat(render("{% if 0 %}" + "{% elif 0 %}".repeat(many) + "{% endif %}")).isEmpty();
  }

  @Test
  void size() throws InterruptedException {
    refusedForLimit("x".repeat(10 << 20), "262144");
    refusedForLimit("{% for i in range(10 ** 12) %}{% endfor %}", "range");
    refusedForLimit("{{ 2 ** 64 }}", "64 bits");
    refusedForLimit("{{ 1e30|int }}", "64 bits");
    refusedForLimit("{{ '%.5000f' % 1 }}", "digits");
    refusedForLimit("{{ 10 ** 18 * 10 ** 18 }}", "64 bits");
    assertThat(render("{{ range(9, 0, -9223372036854775807)|list }}{{ (-1) ** (10 ** 12) }}"))
        .isEqualTo("[9]1");
  }

  @Test
  void aLongConversationMayTakeMore() {
    String content = "word ".repeat(400_000);
    Template template =
        Template.parse(
            "{% for m in messages %}{{ m.content|trim ~ m.content.split('x')[0] }}{% endfor %}");
    assertThat(
            template
                .render(
                    Map.of("messages", List.of(Map.of("role", "user", "content", content))), CLOCK)
                .length())
        .isEqualTo(2 * content.length() - 1);
  }

  @Test
  void aCyclicConversationIsRefused() {
    List<Object> cycle = new ArrayList<>();
    cycle.add(cycle);
    assertThatThrownBy(() -> Template.parse("").render(Map.of("messages", cycle), CLOCK))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("nested deeper than the limit");
  }

  @ParameterizedTest
  @ValueSource(strings = {"plain.jinja", "tools.jinja", "schema.jinja"})
  void mutatedTemplates(String name) throws IOException {
    String source = resource(name);
    assertThat(render(source)).contains("weather").contains("And tomorrow?");
    Random random = new Random(name.hashCode());
    Limits limits = new Limits(1 << 16, 64, 250, 200_000, 1 << 18, 1);
    int rendered = 0;
    for (int i = 0; i < 2000; i++) {
      String mutated = mutate(source, random);
      try {
        Template.parse(mutated, limits).render(CONVERSATION, CLOCK);
        rendered++;
      } catch (TemplateException e) {
        assertThat(e.getMessage()).as(mutated).isNotNull();
      } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
        throw new AssertionError("seed " + name + ", mutation " + i + ":\n" + mutated, e);
      }
    }
    // Of mutations that all were refused, or none, little would be learnt.
    assertThat(rendered).isBetween(50, 1950);
  }

  private static String mutate(String source, Random random) {
    StringBuilder mutated = new StringBuilder(source);
    String[] pieces = {
      "{%",
      "%}",
      "{{",
      "}}",
      "-",
      "'",
      "(",
      ")",
      "[",
      "]",
      "|",
      "~",
      " * 99999999",
      "none",
      "|tojson",
      " in ",
      "range(99999)",
      "{% for x in messages %}",
      "{% endfor %}",
      "{% endif %}",
      "messages",
      ".items()",
      "[::-1]",
      " if ",
      " else ",
      "loop",
      "{#",
      "**",
      "%",
      "not ",
      "is ",
      ".",
      "\\",
      "0"
    };
    for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
      int at = random.nextInt(mutated.length());
      int end =
          Math.min(mutated.length(), at + 1 + random.nextInt(random.nextInt(4) == 0 ? 40 : 3));
      switch (random.nextInt(6)) {
        case 0 -> mutated.delete(at, end);
        case 1 -> mutated.insert(at, pieces[random.nextInt(pieces.length)]);
        case 2 -> mutated.replace(at, end, pieces[random.nextInt(pieces.length)]);
        case 3 -> mutated.insert(random.nextInt(mutated.length()), mutated.substring(at, end));
        case 4 -> mutated.setCharAt(at, (char) random.nextInt(0x250));
        default -> mutated.setCharAt(at, source.charAt(random.nextInt(source.length())));
      }
    }
    return mutated.toString();
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = HostileTemplateTest.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
