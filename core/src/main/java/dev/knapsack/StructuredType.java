package dev.knapsack;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.StructuredAnswerException;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Constructor;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A Java type that answers are held to, as a JSON Schema, and are read into.
 *
 * <p>A record is an object that has its components and no others. An interface that is sealed, all
 * of whose implementations are records, is one of those, with a member {@value #TAG} that has the
 * simple name of which.
 */
final class StructuredType {
  /** The member that says which record a value of a sealed interface is. */
  private static final String TAG = "type";

  /** A type's schema, and how values that fit it are read. */
  private record Form(JsonObject schema, Function<JsonElement, Object> reader) {}

  private final Class<?> type;
  private final Form root;

  /** Records and sealed interfaces, by what makes one of another form. */
  private final Map<String, Form> named = new LinkedHashMap<>();

  private final JsonObject definitions = new JsonObject();

  /**
   * @throws ConstraintException if it has a part that no schema stands for; its place is the
   *     record's name, and the component's
   */
  StructuredType(Class<?> type) {
    this.type = type;
    this.root = form(type, type.getSimpleName());
  }

  /** The JSON Schema of its values; the same text for the same type. */
  String schema() {
    JsonObject schema = root.schema.deepCopy();
    if (!definitions.isEmpty()) {
      schema.add("$defs", definitions);
    }
    return schema.toString();
  }

  /**
   * The value that a text says, which the schema accepts.
   *
   * @throws StructuredAnswerException if it is none
   */
  Object read(String text) {
    try {
      return root.reader.apply(JsonParser.parseString(text));
    } catch (StructuredAnswerException e) {
      throw new StructuredAnswerException(String.valueOf(e.getMessage()), text, e.getCause());
    } catch (JsonParseException
        | IllegalStateException
        | ArithmeticException
        | UnsupportedOperationException e) {
      throw new StructuredAnswerException(
          "The answer is no %s: %s. Hold it to one with withAnswerType."
              .formatted(type.getSimpleName(), e.getMessage()),
          text,
          e);
    }
  }

  private Form form(Type wanted, String place) {
    return switch (wanted) {
      case ParameterizedType generic -> collection(generic, place);
      case Class<?> simple when simple.isRecord() -> reference(simple, false, place);
      case Class<?> simple when simple.isSealed() && simple.isInterface() ->
          reference(simple, false, place);
      case Class<?> simple when simple.isEnum() -> constants(simple);
      case Class<?> simple -> plain(simple, place);
      default -> throw unknown(wanted, place);
    };
  }

  private static Form plain(Class<?> wanted, String place) {
    return switch (wanted.getName()) {
      case "java.lang.String" -> new Form(typed("string"), JsonElement::getAsString);
      case "boolean", "java.lang.Boolean" -> new Form(typed("boolean"), JsonElement::getAsBoolean);
      case "byte", "java.lang.Byte" ->
          integer(Byte.MIN_VALUE, Byte.MAX_VALUE, BigDecimal::byteValueExact);
      case "short", "java.lang.Short" ->
          integer(Short.MIN_VALUE, Short.MAX_VALUE, BigDecimal::shortValueExact);
      case "int", "java.lang.Integer" ->
          integer(Integer.MIN_VALUE, Integer.MAX_VALUE, BigDecimal::intValueExact);
      case "long", "java.lang.Long" ->
          integer(Long.MIN_VALUE, Long.MAX_VALUE, BigDecimal::longValueExact);
      case "double", "java.lang.Double" -> new Form(typed("number"), JsonElement::getAsDouble);
      case "java.math.BigInteger" ->
          new Form(typed("integer"), json -> json.getAsBigDecimal().toBigIntegerExact());
      case "java.math.BigDecimal" -> new Form(typed("number"), JsonElement::getAsBigDecimal);
      case "java.time.LocalDate" -> text("date", LocalDate::parse);
      case "java.time.Instant" -> text("date-time", Instant::parse);
      case "java.util.UUID" -> text("uuid", UUID::fromString);
      default -> throw unknown(wanted, place);
    };
  }

  private static ConstraintException unknown(Type wanted, String place) {
    return new ConstraintException(
        place,
        "is of the type %s, which no answer is read into. There are records, interfaces that are sealed and whose implementations are records, enums, String, boolean, byte, short, int, long, double and their classes, BigInteger, BigDecimal, LocalDate, Instant, UUID, and of all these List, Set, Map with names that are String, and, as a component, Optional."
            .formatted(wanted.getTypeName()));
  }

  private static JsonObject typed(String name) {
    JsonObject schema = new JsonObject();
    schema.addProperty("type", name);
    return schema;
  }

  private static Form integer(long least, long most, Function<BigDecimal, Object> exact) {
    JsonObject schema = typed("integer");
    schema.addProperty("minimum", least);
    schema.addProperty("maximum", most);
    return new Form(schema, json -> exact.apply(json.getAsBigDecimal()));
  }

  private static Form text(String format, Function<String, Object> parse) {
    JsonObject schema = typed("string");
    schema.addProperty("format", format);
    return new Form(schema, json -> parse.apply(json.getAsString()));
  }

  private static Form constants(Class<?> wanted) {
    Map<String, Object> constants = new LinkedHashMap<>();
    for (Object constant : wanted.getEnumConstants()) {
      constants.put(((Enum<?>) constant).name(), constant);
    }
    JsonObject schema = new JsonObject();
    schema.add("enum", array(constants.keySet()));
    return new Form(schema, json -> known(constants, json));
  }

  private static <T> T known(Map<String, T> all, @Nullable JsonElement json) {
    T one = json == null ? null : all.get(json.getAsString());
    if (one == null) {
      throw new IllegalStateException("%s is none of %s".formatted(json, all.keySet()));
    }
    return one;
  }

  private static JsonArray array(Iterable<String> texts) {
    JsonArray array = new JsonArray();
    texts.forEach(array::add);
    return array;
  }

  private Form collection(ParameterizedType wanted, String place) {
    Type[] of = wanted.getActualTypeArguments();
    if (wanted.getRawType() == List.class || wanted.getRawType() == Set.class) {
      Form item = form(of[0], place);
      JsonObject schema = typed("array");
      schema.add("items", item.schema);
      boolean list = wanted.getRawType() == List.class;
      return new Form(
          schema,
          json -> {
            Stream<Object> values = json.getAsJsonArray().asList().stream().map(item.reader);
            return list
                ? values.toList()
                : Collections.unmodifiableSet(new LinkedHashSet<>(values.toList()));
          });
    }
    if (wanted.getRawType() == Map.class && of[0] == String.class) {
      Form value = form(of[1], place);
      JsonObject schema = typed("object");
      schema.add("additionalProperties", value.schema);
      return new Form(
          schema,
          json -> {
            Map<String, Object> values = new LinkedHashMap<>();
            json.getAsJsonObject()
                .entrySet()
                .forEach(e -> values.put(e.getKey(), value.reader.apply(e.getValue())));
            return Collections.unmodifiableMap(values);
          });
    }
    throw unknown(wanted, place);
  }

  /** A form that may be a part of itself. */
  private Form reference(Class<?> wanted, boolean tagged, String place) {
    String key = wanted.getName() + (tagged ? " " + TAG : "");
    String name = String.valueOf(new ArrayList<>(named.keySet()).indexOf(key));
    if (!named.containsKey(key)) {
      name = String.valueOf(named.size());
      named.put(key, new Form(new JsonObject(), json -> json)); // until it is known
      Form form = wanted.isRecord() ? object(wanted, tagged) : union(wanted, place);
      named.put(key, form);
      definitions.add(name, form.schema);
    }
    JsonObject schema = new JsonObject();
    schema.addProperty("$ref", "#/$defs/" + name);
    return new Form(schema, json -> of(key).reader.apply(json));
  }

  private Form of(String key) {
    Form form = named.get(key);
    if (form == null) {
      throw new IllegalStateException(key);
    }
    return form;
  }

  private Form union(Class<?> wanted, String place) {
    Map<String, Form> options = new LinkedHashMap<>();
    List<Class<?>> all = new ArrayList<>(Arrays.asList(wanted.getPermittedSubclasses()));
    for (int i = 0; i < all.size(); i++) {
      Class<?> option = all.get(i);
      if (option.isSealed() && option.isInterface()) {
        all.addAll(Arrays.asList(option.getPermittedSubclasses()));
      } else if (!option.isRecord()) {
        throw new ConstraintException(
            place,
            "is of the type %s, of which %s is no record."
                .formatted(wanted.getSimpleName(), option.getSimpleName()));
      } else if (options.put(option.getSimpleName(), reference(option, true, place)) != null) {
        throw new ConstraintException(
            place,
            "is of the type %s, which has two records with the name %s."
                .formatted(wanted.getSimpleName(), option.getSimpleName()));
      }
    }
    JsonArray schemas = new JsonArray();
    options.values().forEach(option -> schemas.add(option.schema));
    JsonObject schema = new JsonObject();
    schema.add("anyOf", schemas);
    return new Form(
        schema, json -> known(options, json.getAsJsonObject().get(TAG)).reader.apply(json));
  }

  /** A component of a record, and its part in the record's form. */
  private record Member(String name, Form form, boolean optional, boolean nullable) {
    @Nullable Object read(JsonObject object) {
      JsonElement json = object.get(name);
      if (json == null || json.isJsonNull()) {
        if (!optional && !nullable) {
          throw new IllegalStateException("it has no '%s'".formatted(name));
        }
        return optional ? Optional.empty() : null;
      }
      Object value = form.reader.apply(json);
      return optional ? Optional.of(value) : value;
    }

    JsonObject schema() {
      if (!optional && !nullable) {
        return form.schema;
      }
      JsonArray ways = new JsonArray();
      ways.add(form.schema);
      ways.add(typed("null"));
      JsonObject schema = new JsonObject();
      schema.add("anyOf", ways);
      return schema;
    }
  }

  private Form object(Class<?> wanted, boolean tagged) {
    JsonObject properties = new JsonObject();
    JsonArray required = new JsonArray();
    if (tagged) {
      JsonObject tag = new JsonObject();
      tag.addProperty("const", wanted.getSimpleName());
      properties.add(TAG, tag);
      required.add(TAG);
    }
    List<Member> members = new ArrayList<>();
    for (RecordComponent component : wanted.getRecordComponents()) {
      String name = component.getName();
      String place = wanted.getSimpleName() + "." + name;
      if (tagged && name.equals(TAG)) {
        throw new ConstraintException(
            place, "has the name that says which of a sealed interface's records a value is.");
      }
      Type of = component.getGenericType();
      boolean optional =
          of instanceof ParameterizedType generic && generic.getRawType() == Optional.class;
      Form form = form(optional ? ((ParameterizedType) of).getActualTypeArguments()[0] : of, place);
      boolean nullable = isNullable(component) || isNullable(component.getAnnotatedType());
      Member member = new Member(name, form, optional, nullable);
      members.add(member);
      properties.add(name, member.schema());
      if (!optional && !nullable) {
        required.add(name);
      }
    }
    JsonObject schema = typed("object");
    schema.add("properties", properties);
    schema.add("required", required);
    schema.addProperty("additionalProperties", false);
    Constructor<?> constructor = constructor(wanted);
    return new Form(
        schema,
        json -> {
          JsonObject object = json.getAsJsonObject();
          return make(constructor, members.stream().map(member -> member.read(object)).toArray());
        });
  }

  /** Says whether it has an annotation of this name, whoever's, that is kept at run time. */
  private static boolean isNullable(AnnotatedElement element) {
    return Arrays.stream(element.getAnnotations())
        .anyMatch(a -> a.annotationType().getSimpleName().equals("Nullable"));
  }

  private static Constructor<?> constructor(Class<?> wanted) {
    try {
      Constructor<?> canonical =
          wanted.getDeclaredConstructor(
              Arrays.stream(wanted.getRecordComponents())
                  .map(RecordComponent::getType)
                  .toArray(Class<?>[]::new));
      canonical.setAccessible(true);
      return canonical;
    } catch (InaccessibleObjectException e) {
      throw new ConstraintException(
          wanted.getSimpleName(),
          "cannot be made: its module does not let others in. Write 'opens %s to %s;' there."
              .formatted(wanted.getPackageName(), StructuredType.class.getModule().getName()));
    } catch (NoSuchMethodException e) {
      throw new IllegalStateException(e); // every record has one
    }
  }

  private static Object make(Constructor<?> constructor, @Nullable Object[] values) {
    try {
      return constructor.newInstance(values);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw new StructuredAnswerException(
          "%s refuses what the answer says: %s. Ask again, or say in words what it wants."
              .formatted(constructor.getDeclaringClass().getSimpleName(), e.getCause()),
          "",
          e.getCause());
    } catch (InstantiationException | IllegalAccessException e) {
      throw new IllegalStateException(e); // it is a record's, and accessible
    }
  }
}
