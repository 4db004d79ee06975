package dev.knapsack.text.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.TemplateException;
import java.time.Clock;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Filters, methods, formats and functions give what the reference implementation gives. */
class BuiltInsTest {
  private static String render(String source) {
    return Template.parse(source).render(Map.of(), Clock.systemUTC()).text();
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          range(7)|slice(3)|list => [[0, 1, 2], [3, 4], [5, 6]]
          range(7)|slice(3, 0)|list => [[0, 1, 2], [3, 4, 0], [5, 6, 0]]
          'abcde'|batch(2, '-')|list => [['a', 'b'], ['c', 'd'], ['e', '-']]
          (none|select)|list ~ (0|reject)|list ~ (''|selectattr('a'))|list ~ (missing|map('x'))|list => [][][][]
          none|rejectattr('x', 'nosuch')|list => []
          ['a', 'b']|map('upper')|first => A
          [1, 2, 3]|select('odd')|list|tojson => [1, 3]
          3 in [1, 2, 3]|map('int') => True
          ('ab'|map('upper') and 1) ~ ([]|select and 1) => 11
          range(3) ~ range(9)[2:8:3] ~ range(2, 5)[-1] => range(0, 3)range(2, 8, 3)4
          {'a': 1}.items() ~ {'a': 1}.keys() ~ {'a': 1}.values() => dict_items([('a', 1)])dict_keys(['a'])dict_values([1])
          {'a': 1}.keys()|first ~ {'a': 1}.items()|length => a1
          [{'k': 'x', 'n': 1}, {'k': 'X', 'n': 2}]|groupby('k') => [('x', [{'k': 'x', 'n': 1}, {'k': 'X', 'n': 2}])]
          [{'k': 1}, {}]|groupby('k', default=0)|map(attribute='grouper')|list => [0, 1]
          [{'k': 'b', 'n': 1}, {'k': 'a', 'n': 2}, {'k': 'a', 'n': 1}]|sort(attribute='k,n') => [{'k': 'a', 'n': 1}, {'k': 'a', 'n': 2}, {'k': 'b', 'n': 1}]
          [{'n': 1}, {'n': 3}, {'n': 2}]|map(attribute='n')|max => 3
          [{'n': 1}, {}]|map(attribute='n', default='none')|join(',') => 1,none
          ['b', 'B', 'a']|unique|list => ['b', 'a']
          {'b': 1, 'a': [1, 2], 'c': {'z': none}}|pprint => {'a': [1, 2], 'b': 1, 'c': {'z': None}}
          ('word ' * 20)|pprint|replace('\\n', '/') => ('word word word word word word word word word word word word word word word '/ 'word word word word word ')
          (['abcdefghij'] * 8)|pprint|replace('\\n', '/') => ['abcdefghij',/ 'abcdefghij',/ 'abcdefghij',/ 'abcdefghij',/ 'abcdefghij',/ 'abcdefghij',/ 'abcdefghij',/ 'abcdefghij']
          'The quick-brown fox jumps'|wordwrap(9)|replace('\\n', '/') => The/quick-/brown fox/jumps
          'abcdefgh ij'|wordwrap(3, wrapstring='/') => abc/def/gh/ij
          'abcdefgh ij'|wordwrap(3, false, '/') => abcdefgh/ij
          '<p>Hi &amp; <b>you</b><!-- no -->\\n &lt;x&gt; &#39;q&#x27;</p>'|striptags => Hi & you <x> 'q'
          'a b/c?é'|urlencode ~ ' ' ~ {'a b': '/', 'c': 1}|urlencode => a%20b/c%3F%C3%A9 a+b=%2F&c=1
          '[' ~ {'class': 'a "b"', 'id': none, 'n': 1}|xmlattr ~ ']' => [ class="a &#34;b&#34;" n="1"]
          999|filesizeformat ~ ', ' ~ 1000|filesizeformat ~ ', ' ~ 1536|filesizeformat(true) ~ ', ' ~ '1e9'|filesizeformat => 999 Bytes, 1.0 kB, 1.5 KiB, 1.0 GB
          'a b c d e f g h'|truncate(9) ~ 'abcdefghij'|truncate(5, true, '', 0) => a b c...abcde
          '[' ~ 'a\\nb\\n\\nc'|indent(2, true)|replace('\\n', '/') => [  a/  b//  c
          'a\\nb'|indent('> ')|replace('\\n', '/') => a/> b
          'Hi you-there (now)'|title => Hi You-There (Now)
          'straße ﬁn'|upper ~ 'ΌΣΟΣ ΑΣ'|lower ~ 'ǆ'|capitalize => STRASSE FINόσος αςǅ
          'ß'.title() ~ 'Straße'.casefold() ~ 'aBç'.swapcase() => SsstrasseAbÇ
          '12'|int(0, 16) ~ '0x1f'|int(base=16) ~ '1_000'|int ~ '1e3'|int ~ 'z'|int('no') => 183110001000no
          '-1.5e1'|float ~ ' ' ~ 'inf'|float ~ ' ' ~ '1f'|float('no') => -15.0 inf no
          5|round ~ ' ' ~ 1250|round(-2) ~ ' ' ~ 2.675|round(2) ~ ' ' ~ -2.5|round => 5 1200 2.67 -2.0
          '%s|%r|%5s|%-5s|%.2s' % ('a', 'b', 'c', 'd', 'efg') => a|'b'|    c|d    |ef
          '%d|%05d|%+d|% d|%x|%X|%#o' % (42, -42, 42, 42, 255, 255, 8) => 42|-0042|+42| 42|ff|FF|0o10
          '%f|%.2f|%.0f|%e|%.1E|%g|%g' % (2.5, 2.675, 2.5, 12345, 0.00012, 1e20, 0.0001) => 2.500000|2.67|2|1.234500e+04|1.2E-04|1e+20|0.0001
          '%(a)s-%(b)03d' % {'a': 'x', 'b': 7} => x-007
          '%(a)s'|format(a=1) ~ '%s %s'|format(2, 3) => 12 3
          '[%*d|%-*d|%.*f|%c%c|%%' % (4, 1, 3, 2, 1, 2.25, 'x', 66) => [   1|2  |2.2|xB|%
          '[{:>5}|{:<5}|{:^5}|{:*^5}'.format('a', 'b', 'c', 'd') => [    a|b    |  c  |**d**
          '{:05d}|{:+}|{:,}|{:_}|{:x}|{:#b}|{:c}'.format(42, 7, 1234567, 1234, 255, 5, 65) => 00042|+7|1,234,567|1_234|ff|0b101|A
          '{:.2f}|{:8.3f}|{:e}|{:g}|{:.1%}|{:.3}'.format(2.675, 1.5, 1234.5, 0.00001, 0.123, 1.0) => 2.67|   1.500|1.234500e+03|1e-05|12.3%|1.0
          '{0}{1}{0}|{a[b]}|{c.upper}'.format(1, 2, a={'b': 3}, c={'upper': 4}) => 121|3|4
          '{!r}|{:{w}}|{{}}|{:.2}'.format('q', 'x', 'xyz', w=3) => 'q'|x  |{}|xy
          '{a}'.format_map({'a': 1}) => 1
          'hello'.find('l', 3) ~ 'hello'.rfind('l', 0, 3) ~ 'hello'.count('l', 3) ~ 'hello'.startswith('l', 2) => 321True
          'a b  c'.rsplit(none, 1) ~ 'a-b-c'.partition('-') ~ 'a-b-c'.rpartition('-') => ['a b', 'c']('a', '-', 'b-c')('a-b', '-', 'c')
          'a\\tb'.expandtabs(4) ~ 'Ab C'.istitle() ~ 'aé'.isascii() ~ 'a1'.isidentifier() ~ '²'.isdigit() ~ '²'.isdecimal() => a   bTrueFalseTrueTrueFalse
          'a'.ljust(3, '.') ~ 'ab'.center(5, '*') ~ '-7'.zfill(4) => a..**ab*-007
          dict([('a', 1)], b=2) ~ namespace({'x': 3}).x => {'a': 1, 'b': 2}3
          [1, 2, 1].index(1, 1) ~ [1].copy() ~ {}.fromkeys('ab', 0) ~ 2.0.is_integer() ~ namespace(a=1) => 2[1]{'a': 0, 'b': 0}True<Namespace {'a': 1}>
          'upper' is filter and 'odd' is test and 'x' is not filter => True
          2.0 is even and 3 is odd and range(2) is sequence and ('a'|map('upper')) is iterable => True
          [1, [2, {}], []]|tojson(indent=1)|replace('\\n', '/') => [/ 1,/ [/  2,/  {}/ ],/ []/]
          {'b': 1, 'a': 2}|tojson(sort_keys=true) ~ [1, 2]|tojson(separators=(';', ':')) => {"a": 2, "b": 1}[1;2]
          'a,b' is in ['a,b'] and 9007199254740993 > 9007199254740992.0 => True
          'x' ~ [1, 'a', none, missing] => x[1, 'a', None, Undefined]
          '[%s]' % missing ~ '[%s]' % [1] => [][[1]]
          '[{:>4}'.format(true) ~ '{}'.format(none) ~ '{:z.0f}'.format(-0.1) => [   1None0
          """)
  void asTheReference(String expression, String expected) {
    assertThat(render("{{ " + expression + " }}")).isEqualTo(expected);
  }

  @Test
  void functionsThatRemember() {
    assertThat(
            render(
                "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}"
                    + "{{ c.current }}{% set _ = c.reset() %}{{ c.next() }}"))
        .isEqualTo("ababa");
    assertThat(
            render(
                "{% set j = joiner(' | ') %}{% for x in 'abc' %}{{ j() }}{{ x }}{% endfor %}"
                    + "{% set k = joiner() %}{{ k() }}{{ k() }}"))
        .isEqualTo("a | b | c, ");
  }

  @Test
  void whatIsMadeWhileItIsTakenCanBeTakenOnce() {
    assertThat(
            render(
                "{% set g = [1, 2, 3]|map('string') %}{{ g|first }}{{ g|list }}{{ g|list }}"
                    + "{% for x in none|select %}x{% else %}none{% endfor %}"
                    + "{% for x in 'ab'|map('upper') %}{{ loop.length }}{{ x }}{% endfor %}"
                    + "{{ [1]|map('nosuch') is iterable }}"))
        .isEqualTo("1['2', '3'][]none2A2BTrue");
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " => ",
      quoteCharacter = '`',
      textBlock =
          """
          [1]|select|tojson => Object of type generator is not JSON serializable
          {'a': [1]|map('string')}|tojson => Object of type generator is not JSON serializable
          [1]|batch(1)|tojson => Object of type generator is not JSON serializable
          [1]|reverse|tojson => Object of type list_reverseiterator is not JSON serializable
          {}.keys()|tojson => Object of type dict_keys is not JSON serializable
          range(3)|tojson => Object of type range is not JSON serializable
          [1]|select|length => object of type 'generator' has no len()
          [1]|select|last => 'generator' object is not reversible
          ([1]|select) + [1] => unsupported operand type(s) for +: 'generator' and 'list'
          ([1]|select)[0].x => generator object has no element 0
          [1]|map('nosuch')|list => No filter named 'nosuch'.
          [1]|select('nosuch')|list => No test named 'nosuch'.
          [1]|map()|list => map requires a filter argument
          missing|int => 'missing' is undefined
          'a'|upper(1) => upper() takes at most 0 arguments, 1 given
          none|indent => must be str, not NoneType
          '%d' % 'x' => %d format: a real number is required, not str
          '%s %s' % 1 => not enough arguments for format string
          '%s' % (1, 2) => not all arguments converted during string formatting
          '%(a)s' % 1 => format requires a mapping
          '%z' % 1 => unsupported format character 'z'
          '{} {0}'.format(1) => cannot switch between automatic field numbering and manual field specification
          '{1}'.format(1) => Replacement index 1 out of range for positional args tuple
          '{:d}'.format('x') => Unknown format code 'd' for object of type 'str'
          '{:>5}'.format([]) => unsupported format string passed to list.__format__
          '}'.format() => Single '}' encountered in format string
          'x'|format(1, a=2) => can't handle positional and keyword arguments at the same time
          [1]|random => the filter 'random' is not supported: a prompt must be the same each time
          lipsum() => the function 'lipsum' is not supported: a prompt must be the same each time
          cycler() => at least one item has to be provided
          """)
  void refusals(String expression, String message) {
    assertThatThrownBy(() -> render("{{ " + expression + " }}"))
        .isInstanceOf(TemplateException.class)
        .hasMessage(message);
  }
}
