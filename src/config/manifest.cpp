// SPDX-License-Identifier: Apache-2.0
#include "config/manifest.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "config/attach_json.h"
#include "config/instances_json.h"
#include "config/map_rule_json.h"
#include "config/moving_json.h"
#include "config/object_reader.h"
#include "config/objective_json.h"
#include "config/rodata_json.h"
#include "config/substitute.h"
#include "config/text_file.h"

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using Kind = JsonValue::Kind;
using update::Manifest;

bool is_version(std::string_view text) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("._+~-").find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, allowed);
}

// Calls `read` for each member of the object `name` that is well named and itself an object.
template <class Read>
void read_named(ObjectReader& reader, std::string_view name, const Read& read) {
  reader.members(name, [&](const std::string& key, JsonValue& value, const std::string& where) {
    if (!is_name(key)) reader.report().add("bad-name", where, value.line, "\"" + key + "\" is not " + std::string(kNameRule));
    if (!expect_kind(reader.report(), value, where, Kind::kObject)) return;
    ObjectReader member(reader.report(), value, where);
    read(key, member);
  });
}

void read_programs(ObjectReader& reader, const MakeAbsolute& absolute, Manifest& out) {
  read_named(reader, "programs", [&](const std::string& name, ObjectReader& program) {
    update::ProgramRule rule;
    if (std::optional<ObjectReader> attach = program.object("attach")) rule.attach = read_attach(*attach, absolute);
    program.boolean("overlap", rule.overlap);
    program.boolean("load", rule.load);
    if (rule.attach) rule.attach->trace.overlap = rule.overlap;
    program.finish();
    out.programs[name] = std::move(rule);
  });
}

// "struct event", "event_t"
bool is_type_name(std::string_view text) {
  if (const size_t space = text.find(' '); space != std::string_view::npos) {
    const std::string_view kind = text.substr(0, space);
    if (kind != "struct" && kind != "union" && kind != "enum") return false;
    text.remove_prefix(space + 1);
  }
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, allowed);
}

void read_ringbufs(ObjectReader& reader, Manifest& out) {
  read_named(reader, "ringbufs", [&](const std::string& name, ObjectReader& ring) {
    update::RingRule rule;
    ring.text("record", rule.record, is_type_name, "the type of its records, such as \"struct event\"");
    ring.boolean("values", rule.values);
    if (rule.values && rule.record.empty() && !ring.has("record"))
      ring.complain("values", "bad-value", "records leave decoded only: name their type in \"record\", such as \"struct event\"");
    ring.finish();
    out.ringbufs[name] = std::move(rule);
  });
}

void read_analysis(ObjectReader& reader, Manifest& out) {
  std::optional<ObjectReader> analysis = reader.object("analysis");
  if (!analysis) return;
  slo::Analysis read;
  slo::Objective defaults;
  analysis->duration("bake", read.bake, 0ns, 30 * 24h);
  analysis->duration("interval", read.interval, 10ms, 24h);
  analysis->duration("baseline", read.baseline, 10ms, 1h);
  read_measuring(*analysis, defaults);
  read_objectives(*analysis, "objectives", defaults, read.objectives);
  analysis->finish();
  out.analysis = std::move(read);
}

bool parse_slot(const std::string& text, uint32_t& slot) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  return error == std::errc{} && end == text.data() + text.size() && text == std::to_string(slot);
}

void read_prog_arrays(ObjectReader& reader, Manifest& out) {
  Report& report = reader.report();
  reader.members("prog_arrays", [&](const std::string& map, JsonValue& slots, const std::string& where) {
    if (!is_name(map)) report.add("bad-name", where, slots.line, "\"" + map + "\" is not " + std::string(kNameRule));
    if (!expect_kind(report, slots, where, Kind::kObject)) return;
    for (const auto& [key, program] : slots.members) {
      const std::string place = where + "." + key;
      uint32_t slot = 0;
      if (!parse_slot(key, slot))
        report.add("bad-slot", place, program.line, "\"" + key + "\" is not a slot: write its number, such as \"0\"");
      if (!expect_kind(report, program, place, Kind::kString)) continue;
      if (!is_name(program.text))
        report.add("bad-name", place, program.line, "\"" + program.text + "\" is not " + std::string(kNameRule));
      out.prog_arrays[map][slot] = program.text;
    }
  });
}

void read_optional(ObjectReader& reader, Manifest& out) {
  Report& report = reader.report();
  reader.items("optional", [&](JsonValue& value, const std::string& where) {
    if (!expect_kind(report, value, where, Kind::kString)) return;
    if (!is_name(value.text))
      report.add("bad-name", where, value.line, "\"" + value.text + "\" is not " + std::string(kNameRule));
    const bool twice = std::ranges::find(out.optional_programs, value.text) != out.optional_programs.end();
    if (twice) report.add("duplicate-name", where, value.line, "\"" + value.text + "\" stands twice");
    out.optional_programs.push_back(value.text);
  });
}

void read_module(ObjectReader& reader, const MakeAbsolute& absolute, Manifest& out) {
  for (const std::string_view name : {"name", "version", "object"}) reader.require(name);
  reader.text("name", out.name, is_name, kNameRule);
  reader.text("version", out.version, is_version, "a version: 1 to 64 letters, digits and '._+~-'");
  reader.text("object", out.object);
  out.object = absolute(out.object);
  read_programs(reader, absolute, out);
  read_named(reader, "maps", [&](const std::string& name, ObjectReader& map) { out.maps[name] = read_map_rule(map); });
  read_ringbufs(reader, out);
  read_analysis(reader, out);
  read_rodata(reader, out.rodata);
  read_prog_arrays(reader, out);
  read_optional(reader, out);
  read_moving(reader, out);
  (void)reader.any("instances");  // read before
  (void)reader.any("params");
  reader.finish();
}

// What the manifest says once nothing has to be filled in and no folder has to be known any more.
std::string canonical_text(JsonValue document, const MakeAbsolute& absolute) {
  const auto settle = [&absolute](JsonValue* object, std::string_view member) {
    JsonValue* path = object != nullptr ? object->find(member) : nullptr;
    if (path != nullptr && path->kind == Kind::kString) path->text = absolute(path->text);
  };
  settle(&document, "object");
  if (JsonValue* programs = document.find("programs"); programs != nullptr) {
    for (auto& [name, program] : programs->members) settle(program.find("attach"), "path");
  }
  escape_dollars(document);
  return dump_json(document);
}

}  // namespace

Result<Manifest> parse_manifest(const std::string& text, const std::string& dir, const SetValues& set,
                                const std::string& file_name) {
  MS_TRY(JsonValue document, parse_json(text, file_name));
  Report report(file_name);
  if (document.kind != Kind::kObject) {
    report.add("wrong-type", "", document.line, "a manifest must be an object, not " + std::string(to_string(document.kind)));
    return fail(report.error());
  }
  const MakeAbsolute absolute = [&dir](const std::string& path) {
    return path.empty() || path.front() == '/' ? path : (std::filesystem::path(dir) / path).lexically_normal().string();
  };
  Values values = take_params(document, report);
  const Values declared = values;
  for (const auto& [name, value] : set) values[name] = value;
  Substitution substitution(std::move(values), report);
  Instances instances = take_instances(document, substitution, report);
  substitution.fill(document, "");
  check_set(set, declared, substitution.used(), report);
  Manifest manifest;
  ObjectReader reader(report, document, "");
  read_module(reader, absolute, manifest);
  read_instances(instances, absolute, report, manifest);
  if (!report.empty()) return fail(report.error());
  put_back(instances, document);
  manifest.text = canonical_text(std::move(document), absolute);
  // The places of many instances written out may be more than one reads again.
  if (!manifest.instances.empty()) {
    MS_TRY([[maybe_unused]] const JsonValue again, parse_json(manifest.text, file_name + " with its instances written out"));
  }
  return manifest;
}

Result<Manifest> load_manifest(const std::string& path, const SetValues& set) {
  std::error_code error;
  const std::filesystem::path full = std::filesystem::absolute(path, error);
  if (error) return fail_errno(error.value(), "cannot resolve " + path);
  MS_TRY(const std::string text, read_text_file(full.string(), kMaxDocumentBytes));
  return parse_manifest(text, full.parent_path().string(), set, path);
}

}  // namespace mapshift::config
