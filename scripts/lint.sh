#!/usr/bin/env bash
# Formatting of C, C# and shell scripts, phrases that are hard to read, and every warning of the compilers.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
git ls-files '*.sh' scripts/engines 'jobs/*/run' | xargs shellcheck
scripts/lint-words.sh
dotnet build Exporter.sln --configuration Release --nologo --verbosity quiet
dotnet format Exporter.sln --verify-no-changes --no-restore
