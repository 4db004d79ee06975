package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The filter {@code pprint}: values as within lists, dictionaries in the order of their keys, and
 * what does not fit in 80 columns with an element a line.
 */
final class PrettyPrint {
  private static final int WIDTH = 80;

  private final Meter meter;
  private final Meter.Text out;

  PrettyPrint(Meter meter) {
    this.meter = meter;
    out = meter.text();
  }

  MarkedText write(Object value) {
    write(value, 0, 0, 1);
    return out.build();
  }

  private void write(Object value, int indent, int allowance, int level) {
    meter.enter();
    MarkedText plain = Representation.sorted(value, meter);
    boolean fits = length(plain) <= WIDTH - indent - allowance;
    switch (value) {
      case MarkedText text when !fits && !text.isEmpty() -> string(text, indent, allowance, level);
      case Range _ -> out.add(plain);
      case List<?> list when !fits -> list(list, indent, allowance, level);
      case Map<?, ?> map when !fits -> dict(map, indent, allowance, level);
      default -> out.add(plain);
    }
    meter.leave();
  }

  private int length(MarkedText text) {
    return Strings.length(text.text(), meter);
  }

  private void line(int indent) {
    out.own('\n').repeat(MarkedText.input(" "), indent);
  }

  private void list(List<?> list, int indent, int allowance, int level) {
    boolean tuple = list instanceof Tuple;
    String end = !tuple ? "]" : list.size() == 1 ? ",)" : ")";
    out.own(tuple ? '(' : '[');
    List<Object> elements = Values.elements(list, meter);
    for (int i = 0; i < elements.size(); i++) {
      boolean last = i == elements.size() - 1;
      if (i > 0) {
        out.own(',');
        line(indent + 1);
      }
      write(elements.get(i), indent + 1, last ? allowance + end.length() : 1, level + 1);
    }
    out.own(end);
  }

  private void dict(Map<?, ?> map, int indent, int allowance, int level) {
    out.own('{');
    List<Map.Entry<Object, Object>> entries = Representation.inOrder(map, meter);
    for (int i = 0; i < entries.size(); i++) {
      boolean last = i == entries.size() - 1;
      if (i > 0) {
        out.own(',');
        line(indent + 1);
      }
      MarkedText key = Representation.quoted(entries.get(i).getKey(), meter);
      out.add(key).own(": ");
      write(
          entries.get(i).getValue(),
          indent + 1 + length(key) + 2,
          last ? allowance + 1 : 1,
          level + 1);
    }
    out.own('}');
  }

  /** A long string in several, as the language joins them, parted behind blanks. */
  private void string(MarkedText text, int indent, int allowance, int level) {
    boolean alone = level == 1;
    int column = alone ? indent + 1 : indent;
    int after = alone ? allowance + 1 : allowance;
    int width = WIDTH - column;
    List<MarkedText> chunks = new ArrayList<>();
    List<Object> lines = Strings.lines(text, true, meter);
    for (int i = 0; i < lines.size(); i++) {
      MarkedText line = (MarkedText) lines.get(i);
      boolean lastLine = i == lines.size() - 1;
      MarkedText plain = Representation.quoted(line, meter);
      if (length(plain) <= width - (lastLine ? after : 0)) {
        chunks.add(plain);
      } else {
        words(line, width, lastLine ? after : 0, chunks);
      }
    }
    if (chunks.size() == 1) {
      out.add(Representation.quoted(text, meter));
      return;
    }
    if (alone) {
      out.own('(');
    }
    for (int i = 0; i < chunks.size(); i++) {
      if (i > 0) {
        line(column);
      }
      out.add(chunks.get(i));
    }
    if (alone) {
      out.own(')');
    }
  }

  private void words(MarkedText line, int width, int after, List<MarkedText> chunks) {
    int from = 0;
    int to = 0;
    while (to < line.length()) {
      int end = to;
      while (end < line.length() && !Strings.isSpace(line.charAt(end))) {
        end++;
      }
      while (end < line.length() && Strings.isSpace(line.charAt(end))) {
        end++;
      }
      int room = width - (end == line.length() ? after : 0);
      if (to > from && !fits(line, from, end, room)) {
        chunks.add(Representation.quoted(line.slice(from, to), meter));
        from = to;
      }
      to = end;
    }
    if (to > from) {
      chunks.add(Representation.quoted(line.slice(from, to), meter));
    }
  }

  private boolean fits(MarkedText line, int from, int to, int room) {
    // Quotes make a string longer and never shorter: this is not read again for every word.
    return to - from <= 2 * room + 2
        && length(Representation.quoted(line.slice(from, to), meter)) <= room;
  }
}
