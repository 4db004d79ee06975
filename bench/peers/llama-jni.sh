#!/bin/sh
# Measures llama.cpp's JNI binding (Maven: de.kherud:llama) on a GGUF file.
# Usage: llama-jni.sh MODEL.gguf [threads] [prompt tokens] [decode tokens] [rounds]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lib="$here/target"
[ -f "$lib/llama-4.2.0.jar" ] || mvn -B -q dependency:copy -Dartifact=de.kherud:llama:4.2.0 -DoutputDirectory="$lib"
[ -f "$lib/annotations-24.1.0.jar" ] || mvn -B -q dependency:copy -Dartifact=org.jetbrains:annotations:24.1.0 -DoutputDirectory="$lib"
exec java -Xmx128m -cp "$lib/llama-4.2.0.jar:$lib/annotations-24.1.0.jar" "$here/LlamaJni.java" "$@"
