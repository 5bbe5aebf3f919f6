// SPDX-License-Identifier: Apache-2.0
#include "store/kept_map_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mapshift::store {
namespace {

using Json = nlohmann::json;

// Numbers are checked: the library cuts off what does not fit.
template <class T>
T number(const Json& value) {
  const bool negative = value.is_number_integer() && !value.is_number_unsigned();
  const int64_t wide = negative ? value.get<int64_t>() : 0;
  const uint64_t plain = negative ? 0 : value.get<uint64_t>();
  const T out = negative ? static_cast<T>(wide) : static_cast<T>(plain);
  const bool fits = value.is_number_integer() && (negative ? static_cast<int64_t>(out) == wide && out < T(0) : static_cast<uint64_t>(out) == plain);
  if (!fits) throw std::out_of_range("a number does not fit");
  return out;
}

Json field_json(const SyncField& f) {
  return Json::array({static_cast<int>(f.op), f.size0, f.size1, f.signed0, f.signed1, f.offset0, f.offset1, f.group, f.wide, f.remap, f.in_union, f.arm, f.zero});
}

SyncField field_from(const Json& in) {
  const auto op = number<uint8_t>(in.at(0));
  if (op < static_cast<uint8_t>(SyncOp::kSum) || op > static_cast<uint8_t>(SyncOp::kFirst)) throw std::out_of_range("no such merge");
  SyncField out = {static_cast<SyncOp>(op), number<uint8_t>(in.at(1)), number<uint8_t>(in.at(2)), in.at(3).get<bool>(), in.at(4).get<bool>(),
          number<uint16_t>(in.at(5)), number<uint16_t>(in.at(6)), number<uint16_t>(in.at(7)), in.at(8).get<bool>(), number<int32_t>(in.at(9))};
  if (in.size() <= 10) return out;  // written by a release that knew no discriminators
  out.in_union = number<uint8_t>(in.at(10));
  out.arm = number<uint8_t>(in.at(11));
  out.zero = in.at(12).get<bool>();
  return out;
}

Json union_json(const SyncUnion& one) {
  Json arms = Json::array();
  for (const SyncArm& arm : one.values) arms.push_back({arm.value0, arm.value1, arm.arm});
  return Json::array({one.offset0, one.offset1, one.size0, one.size1, arms});
}

template <class T, class Write>
Json list(const std::vector<T>& all, const Write& write) {
  Json out = Json::array();
  for (const T& one : all) out.push_back(write(one));
  return out;
}

template <class T, class Read>
void read_list(const Json& in, std::vector<T>& out, size_t most, const Read& read) {
  if (!in.is_array() || in.size() > most) throw std::out_of_range("a list is too long");
  for (const Json& one : in) out.push_back(read(one));
}

SyncUnion union_from(const Json& in) {
  SyncUnion out{number<uint16_t>(in.at(0)), number<uint16_t>(in.at(1)), number<uint8_t>(in.at(2)), number<uint8_t>(in.at(3))};
  read_list(in.at(4), out.values, kMaxSyncArms, [](const Json& arm) {
    return SyncArm{number<uint64_t>(arm.at(0)), number<uint64_t>(arm.at(1)), number<uint8_t>(arm.at(2))};
  });
  return out;
}

Json spec_json(const SyncSpec& spec) {
  Json out = {{"types", {static_cast<uint32_t>(spec.type0), static_cast<uint32_t>(spec.type1)}},
              {"key_sizes", {spec.key_size, spec.key_size1}},
              {"value_sizes", {spec.value_size0, spec.value_size1}},
              {"max_entries", {spec.max_entries0, spec.max_entries1}},
              {"locks", {spec.lock0, spec.lock1}},
              {"keep_delta", spec.keep_delta},
              {"fields", list(spec.fields, field_json)},
              {"key_fields", list(spec.key_fields, field_json)},
              {"defaults", list(spec.defaults1, [](const SyncDefault& d) { return Json::array({d.offset, d.size, d.value}); })},
              {"remaps", list(spec.remaps, [](const SyncRemap& remap) { return Json(remap.values); })}};
  if (!spec.unions.empty()) out["unions"] = list(spec.unions, union_json);
  if (spec.transform) out["transform"] = {spec.transform->object_path, spec.transform->up, spec.transform->down};
  return out;
}

SyncSpec spec_from(const Json& in) {
  if (in.contains("inner")) throw std::invalid_argument("maps of maps are not kept any more");
  SyncSpec out;
  const auto pair = [&](const char* name, auto& first, auto& second) {
    first = number<std::decay_t<decltype(first)>>(in.at(name).at(0));
    second = number<std::decay_t<decltype(second)>>(in.at(name).at(1));
  };
  out.type0 = static_cast<MapType>(number<uint32_t>(in.at("types").at(0)));
  out.type1 = static_cast<MapType>(number<uint32_t>(in.at("types").at(1)));
  pair("key_sizes", out.key_size, out.key_size1);
  pair("value_sizes", out.value_size0, out.value_size1);
  pair("max_entries", out.max_entries0, out.max_entries1);
  pair("locks", out.lock0, out.lock1);
  out.keep_delta = in.at("keep_delta").get<bool>();
  read_list(in.at("fields"), out.fields, kMaxSyncFields, field_from);
  read_list(in.at("key_fields"), out.key_fields, kMaxSyncFields, field_from);
  read_list(in.at("defaults"), out.defaults1, kMaxSyncDefaults, [](const Json& d) {
    return SyncDefault{number<uint16_t>(d.at(0)), number<uint8_t>(d.at(1)), number<uint64_t>(d.at(2))};
  });
  read_list(in.at("remaps"), out.remaps, kMaxSyncRemapValues, [](const Json& remap) {
    SyncRemap one;
    read_list(remap, one.values, kMaxSyncRemapValues, [](const Json& value) {
      return std::pair{number<int64_t>(value.at(0)), number<int64_t>(value.at(1))};
    });
    return one;
  });
  if (const auto found = in.find("unions"); found != in.end()) read_list(*found, out.unions, kMaxSyncUnions, union_from);
  if (const auto found = in.find("transform"); found != in.end())
    out.transform = SyncTransform{found->at(0).get<std::string>(), found->at(1).get<std::string>(), found->at(2).get<std::string>()};
  return out;
}

}  // namespace

std::string to_text(const update::KeptMap& map) {
  const Json out = {{"module", map.module}, {"map", map.map}, {"generation", map.generation}, {"until", map.until}, {"sync", spec_json(map.sync)}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<update::KeptMap> kept_map_from(const std::string& text) {
  try {
    const Json in = Json::parse(text);
    return update::KeptMap{in.at("module").get<std::string>(), in.at("map").get<std::string>(), number<uint64_t>(in.at("generation")),
                           in.at("until").get<std::string>(), spec_from(in.at("sync"))};
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalid, fmt::format("what is known of a kept map cannot be read: {}", error.what()));
  }
}

}  // namespace mapshift::store
