package dev.knapsack.text.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.TemplateException;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The semantics of the interpreter: what the reference implementation gives, it gives. */
class TemplateTest {
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-03-07T15:04:05Z"), ZoneOffset.UTC);

  private static String render(String source) {
    return render(source, Map.of());
  }

  private static String render(String source, Map<String, ? extends @Nullable Object> variables) {
    return Template.parse(source).render(variables, CLOCK).text();
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          1 + 2 * 3 - 4 // 3 => 6
          7 / 2 => 3.5
          -7 // 2 => -4
          -7 % 3 => 2
          2 ** 10 => 1024
          2 ** -1 => 0.5
          1.0 => 1.0
          1e16 => 1e+16
          0.00001 => 1e-05
          123456789.125 => 123456789.125
          0.1 + 0.2 => 0.30000000000000004
          true => True
          none => None
          [1, 'a', none, true, 1.5] => [1, 'a', None, True, 1.5]
          {'a': [1], 2: "it's"} => {'a': [1], 2: "it's"}
          (1,) => (1,)
          (1, 2) => (1, 2)
          'a' ~ 1 ~ none => a1None
          'ab' * 3 => ababab
          [0] * 2 + [1] => [0, 0, 1]
          1 < 2 < 3 => True
          1 < 2 > 3 => False
          'b' in 'abc' and 'x' not in ['y'] => True
          not 1 == 2 => True
          not not none => False
          'x' or 'y' => x
          '' or 'y' => y
          'x' and 0 => 0
          'yes' if 1 else 'no' => yes
          '[' ~ ('yes' if 0) ~ ']' => []
          'hello'[1] => e
          'hello'[-1] => o
          'hello'[1:3] => el
          'hello'[::-1] => olleh
          'hello'[:-1] => hell
          [1,2,3,4][1::2] => [2, 4]
          [1,2,3][5:] => []
          {'a': 1}.a + {'a': 1}['a'] => 2
          {'a': {'b': 7}}.a.b => 7
          {'items': 1}['items'] => 1
          missing is defined => False
          (missing.x is defined) if missing is defined else 'no' => no
          [] is iterable and 'x' is string and {} is mapping => True
          1 is number and 1 is integer and 1.0 is float => True
          true is boolean and true is true and 1 is not true => True
          3 is odd and 4 is divisibleby 2 and 3 is divisibleby(3) => True
          'a' is in ['a'] and 1 is eq 1 and 1 is lt 2 => True
          '%s has %d of %.2f' % ('x', 3, 1.5) => x has 3 of 1.50
          '{1} {0} {a}'.format(2, 1, a=3) => 1 2 3
          1 == 1.0 and 1 == true => True
          (1, 2) == [1, 2] => False
          'it''s' 'b' => itsb
          -1|abs => 1
          'x' ~ -2|abs => x2
          0x1f + 1_000 => 1031
          """)
  void expressions(String expression, String expected) {
    assertThat(render("{{ " + expression + " }}")).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          ' a '|trim ~ '|' => a|
          'xxaxx'|trim('x') => a
          [3,1,2]|sort => [1, 2, 3]
          ['b','A','c']|sort => ['A', 'b', 'c']
          ['b','A','c']|sort(reverse=true) => ['c', 'b', 'A']
          {'b': 1, 'a': 2}|dictsort => [('a', 2), ('b', 1)]
          {'b': 1, 'a': 2}|dictsort(by='value') => [('b', 1), ('a', 2)]
          [1,2,3]|join(', ') => 1, 2, 3
          [{'a': 1}, {'a': 2}]|map(attribute='a')|list => [1, 2]
          ['a','b']|map('upper')|join => AB
          [{'r': 'x', 'v': 1}, {'r': 'y', 'v': 2}]|selectattr('r', 'equalto', 'y')|map(attribute='v')|first => 2
          [1,2,3,4]|select('even')|list => [2, 4]
          [1,2,3,4]|reject('gt', 2)|list => [1, 2]
          [{'a': 1}, {}]|rejectattr('a', 'defined')|list => [{}]
          [1,2,3]|sum + [1,5,2]|max + [4,2]|min => 13
          'hello world'|title ~ 'ABC'|capitalize => Hello WorldAbc
          'a,b,,c'.split(',') => ['a', 'b', '', 'c']
          ' a  b '.split() => ['a', 'b']
          'a-b-c'.split('-', 1) => ['a', 'b-c']
          'a-b-c'.rsplit('-', 1) => ['a-b', 'c']
          'abc'.replace('b', 'xx') => axxc
          'abc'|replace('', '-') => -a-b-c-
          'aXbX'.rstrip('X') ~ 'XaX'.lstrip('X') => aXbaX
          'abc'.startswith('ab') and 'abc'.endswith(('x', 'c')) => True
          'abc'.find('c') ~ 'abc'.find('z') => 2-1
          'abca'.count('a') ~ 'abc'.index('b') => 21
          'ab'.upper() ~ 'AB'.lower() ~ 'ab cd'.title() => ABabAb Cd
          'x'.center(5, '*') ~ '7'.zfill(3) ~ 'a'.ljust(3) ~ '|' => **x**007a  |
          '12'|int + '3.7'|int + 'x'|int(5) => 20
          '1.5'|float => 1.5
          2.5|round ~ ' ' ~ 3.14159|round(2) ~ ' ' ~ 2.1|round(0, 'ceil') => 2.0 3.14 3.0
          missing|default('d') ~ none|default('d') ~ none|default('d', true) => dNoned
          'abc'|length ~ {'a': 1}|length => 31
          'abc'|reverse ~ [1,2]|reverse|list => cba[2, 1]
          [1,1,2]|unique|list => [1, 2]
          [1,2,3]|batch(2)|list => [[1, 2], [3]]
          [{'k': 1, 'v': 'a'}, {'k': 1, 'v': 'b'}]|groupby('k')|length => 1
          '<a>'|escape => &lt;a&gt;
          [1,2,3]|first ~ [1,2,3]|last => 13
          {'a': 1}|items|list => [('a', 1)]
          {'a': 1}.get('b', 'no') ~ {'a': 1}.get('b') => noNone
          {'a': 1}.keys()|list ~ {'a': 1}.values()|list => ['a'][1]
          'a b c'|wordcount => 3
          ['a', 'b'][-1] ~ 'ab'|list => b['a', 'b']
          """)
  void filtersAndMethods(String expression, String expected) {
    assertThat(render("{{ " + expression + " }}")).isEqualTo(expected);
  }

  @Test
  void json() {
    Map<String, @Nullable Object> value = new LinkedHashMap<>();
    value.put("text", "é\n\"<\u0001");
    value.put("list", Arrays.asList(1, 2.5, null, true));
    value.put("empty", Map.of());
    assertThat(render("{{ v|tojson }}", Map.of("v", value)))
        .isEqualTo(
            "{\"text\": \"é\\n\\\"<\\u0001\", \"list\": [1, 2.5, null, true], \"empty\": {}}");
    assertThat(render("{{ v|tojson(indent=2) }}", Map.of("v", List.of(1, Map.of("a", 2)))))
        .isEqualTo("[\n  1,\n  {\n    \"a\": 2\n  }\n]");
    assertThat(render("{{ 'é😀'|tojson(ensure_ascii=true) }}"))
        .isEqualTo("\"\\u00e9\\ud83d\\ude00\"");
    assertThat(render("{{ {'b': 1, 'a': 2}|tojson(separators=(',', ':'), sort_keys=true) }}"))
        .isEqualTo("{\"a\":2,\"b\":1}");
  }

  @Test
  void whiteSpaceAroundTags() {
    assertThat(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n")).isEqualTo("a\n  b\nc");
    assertThat(render("a  {%- if true -%}  b  {%- endif -%}  c")).isEqualTo("abc");
    assertThat(render("a\n  {%+ if true +%}\nb{% endif %}")).isEqualTo("a\n  \nb");
    assertThat(render("  {# c #}\nx {# d #} y\n\n")).isEqualTo("x  y\n");
    assertThat(render("x\n{{- 1 -}}\n y")).isEqualTo("x1y");
    assertThat(render("  {{ 1 }}\n  {{ 2 }}")).isEqualTo("  1\n  2");
    assertThat(render("a\r\nb\rc")).isEqualTo("a\nb\nc");
    assertThat(render("{% raw %}{{ x }}{% endraw %}!")).isEqualTo("{{ x }}!");
    assertThat(render("a {% set x = 1 %} b")).isEqualTo("a  b");
  }

  @Test
  void loops() {
    assertThat(
            render(
                "{% for x in 'abc' %}{{ loop.index }}/{{ loop.length }}{{ x }}{{ loop.first }}"
                    + "{{ loop.last }}{{ loop.revindex0 }} {% endfor %}"))
        .isEqualTo("1/3aTrueFalse2 2/3bFalseFalse1 3/3cFalseTrue0 ");
    assertThat(render("{% for x in [1,2,3,4] if x is even %}{{ x }}{{ loop.length }}{% endfor %}"))
        .isEqualTo("2242");
    assertThat(render("{% for x in [] %}{% else %}none{% endfor %}")).isEqualTo("none");
    assertThat(
            render(
                "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}"
                    + "{% if x > 4 %}{% break %}{% endif %}{{ x }}{% endfor %}"))
        .isEqualTo("0134");
    assertThat(render("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}"))
        .isEqualTo("a=1");
    assertThat(
            render(
                "{% for t in [[1, [2, [3]]]] recursive %}{% if t is number %}{{ t }}{% else %}"
                    + "({{ loop(t) }}{{ loop.depth }}){% endif %}{% endfor %}"))
        .isEqualTo("(1(2(33)2)1)");
    assertThat(
            render(
                "{% for x in [1,1,2] %}{{ loop.previtem }}{{ loop.nextitem }}"
                    + "{{ loop.cycle('a','b') }}{{ loop.changed(x) }} {% endfor %}"))
        .isEqualTo("1aTrue 12bFalse 1aTrue ");
  }

  @Test
  void namesLiveInTheirScope() {
    assertThat(render("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}"))
        .isEqualTo("1");
    assertThat(render("{% if true %}{% set x = 2 %}{% endif %}{{ x }}")).isEqualTo("2");
    assertThat(
            render(
                "{% set n = namespace(x=1) %}{% for i in [1] %}{% set n.x = n.x + 1 %}{% endfor %}"
                    + "{{ n.x }}"))
        .isEqualTo("2");
    assertThat(render("{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ d }}"))
        .isEqualTo("12y");
    assertThat(
            render("{% set x %}a{{ 1 }}{% endset %}{{ x }}{% set y | upper %}b{% endset %}{{ y }}"))
        .isEqualTo("a1B");
    assertThat(render("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}"))
        .isEqualTo("3False");
    assertThat(render("{% filter upper | replace('A', 'x') %}ab{% endfilter %}")).isEqualTo("xB");
    assertThat(render("{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}")).isEqualTo("1");
  }

  @Test
  void macros() {
    assertThat(
            render(
                "{% macro m(a, b='B', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}"
                    + "{{ m(1) }} {{ m(1, c=2) }} {{ m(b=3, a=4) }} {{ m(*[7, 8], **{'c': 9}) }}"))
        .isEqualTo("1B1 1B2 434 789");
    assertThat(
            render(
                "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}"
                    + "{{ f(3) }}"))
        .isEqualTo("3210");
    assertThat(
            render(
                "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}"
                    + "{% call(y) m(5) %}{{ y + 1 }}{% endcall %}"))
        .isEqualTo("<6>");
    assertThat(render("{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, k=2) }}"))
        .isEqualTo("(1,){'k': 2}");
    assertThat(render("{% macro m() %}{{ later }}{% endmacro %}{% set later = 1 %}{{ m() }}"))
        .isEqualTo("1");
  }

  @Test
  void time() {
    assertThat(render("{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %a %A %j %-d %y %I%p %%') }}"))
        .isEqualTo("2026-03-07 15:04:05 07 Mar March Sat Saturday 066 7 26 03PM %");
  }

  @Test
  void charactersBeyondTheBasicPlane() {
    assertThat(render("{{ s|length }}{{ s[1] }}{{ s[::-1] }}{{ s[1:] }}", Map.of("s", "a😀b")))
        .isEqualTo("3😀b😀a😀b");
    assertThat(render("{{ '\\u00e9\\x41\\U0001F600' }}")).isEqualTo("éA😀");
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          {{ raise_exception('No ' ~ 1) }} => No 1
          {{ x.y }} => 'x' is undefined
          {{ {}.y.z }} => 'dict object' has no attribute 'y'
          {{ none.y.z }} => 'None' has no attribute 'y'
          {{ [1][3] + 1 }} => list object has no element 3
          {{ 'a' + 1 }} => can only concatenate str (not "int") to str
          {{ 1 + 'a' }} => unsupported operand type(s) for +: 'int' and 'str'
          {% for x in none %}{% endfor %} => 'NoneType' object is not iterable
          {% for a, b in [[1]] %}{% endfor %} => not enough values to unpack (expected 2, got 1)
          {{ 1 < 'a' }} => '<' not supported between instances of 'int' and 'str'
          {{ 1 / 0 }} => division by zero
          {{ 'x'|nothing }} => No filter named 'nothing'.
          {{ 'x' is nothing }} => No test named 'nothing'.
          {{ 5() }} => 'int' object is not callable
          {{ {[]: 1} }} => unhashable type: 'list'
          {% set x.y = 1 %} => cannot assign attribute on non-namespace object
          {{ [].append(1) }} => 'list object' has no attribute 'append'
          """)
  void refusals(String source, String message) {
    assertThatThrownBy(() -> render("\n" + source))
        .isInstanceOfSatisfying(TemplateException.class, e -> assertThat(e.line()).isEqualTo(2))
        .hasMessage(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          {% if x %} => 'if' has no end: expected one of [elif, else, endif]
          {{ 1 + }} => expected an expression, found '}}'
          {{ (1 }} => unexpected '}'
          {{ (1 => the template ends within a tag: no '}}'
          {{ 'a => a string has no end '
          {% include 'x' %} => unknown statement 'include'; supported are if, for, set, macro, call, filter, with, break, continue, generation, raw
          {% break %} => 'break' outside a loop
          {# x => a comment '{#' has no end '#}'
          {{ a b }} => expected '}}', found 'b'
          {% endif %} => unknown statement 'endif'; supported are if, for, set, macro, call, filter, with, break, continue, generation, raw
          {% set true = 1 %} => cannot assign to 'true'
          {{ 99999999999999999999 }} => the integer 99999999999999999999 is not one of 64 bits
          """)
  void whatIsNoTemplate(String source, String message) {
    assertThatThrownBy(() -> Template.parse(source))
        .isInstanceOf(TemplateException.class)
        .hasMessage(message);
  }
}
