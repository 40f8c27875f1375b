#pragma once
// The form of hypercall handlers. A handler is a plain function of typed input and output; from its
// signature follow the sizes that the dispatcher checks and the conversion from and to bytes.
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/privileges.h"
#include "hypervisor-model/spec/status.h"

namespace hvsim::hv {

/// One hypercall on its way through its handler.
struct Call {
    Hypervisor& hypervisor;
    Partition& partition;  ///< the caller's
    VirtualProcessor& vp;  ///< the caller
    sim::Time now = 0;
    bool yield = false;  ///< out: see HypercallOutcome
};

/// Repetitions of this slice.
struct RepRange {
    unsigned start = 0;
    unsigned count = 0;
};

/// How far a handler came. `done` counts from the slice's start; a simple call has none.
struct CallResult {
    HvStatus status = HvStatus::success;
    unsigned done = 0;
};

/// The variable header.
using Banks = std::span<const std::uint64_t>;

/// What the dispatcher copied in and will copy out.
struct RawCall {
    std::span<const std::uint8_t> header;
    Banks variable;
    std::span<const std::uint8_t> elements;  ///< of the slice
    RepRange reps;
    std::span<std::uint8_t> output;  ///< simple: the output; rep: elements of the slice
};

using RawHandler = CallResult (*)(Call& call, const RawCall& raw);

struct HypercallRow {
    std::uint16_t code;
    std::string_view name;
    bool rep;
    bool variable_header;
    std::uint16_t header_size;  ///< bytes of the fixed input header
    std::uint16_t element_in;   ///< bytes of one repetition's input
    std::uint16_t output_size;  ///< bytes of output: simple in all, rep for one repetition
    Privilege privilege;
    RawHandler handler;
};

namespace detail {

template <typename T>
constexpr bool is_wire =
    std::is_trivially_copyable_v<T>&& std::has_unique_object_representations_v<T>;

template <typename T>
T parse(std::span<const std::uint8_t> bytes) {
    static_assert(is_wire<T>, "input structs must not have padding");
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

template <typename E>
std::vector<E> parse_elements(const RawCall& raw) {
    static_assert(is_wire<E>);
    std::vector<E> elements(raw.reps.count);
    if (!elements.empty()) std::memcpy(elements.data(), raw.elements.data(), raw.elements.size());
    return elements;
}

template <typename O>
void store(std::span<std::uint8_t> bytes, const O* values, std::size_t count) {
    static_assert(is_wire<O>, "output structs must not have padding");
    if (count != 0) std::memcpy(bytes.data(), values, count * sizeof(O));
}

constexpr HypercallRow make_row(std::uint16_t code, std::string_view name, Privilege privilege,
                                bool rep, bool variable, std::size_t header, std::size_t in,
                                std::size_t out, RawHandler handler) {
    return {code,
            name,
            rep,
            variable,
            static_cast<std::uint16_t>(header),
            static_cast<std::uint16_t>(in),
            static_cast<std::uint16_t>(out),
            privilege,
            handler};
}

/// One specialization for each form that a handler may have.
template <typename F>
struct Form;

template <typename In>
struct Form<HvStatus (*)(Call&, const In&)> {
    static constexpr bool kRep = false, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = 0, kOut = 0;
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        return {F(call, parse<In>(raw.header))};
    }
};
template <typename In, typename Out>
struct Form<HvStatus (*)(Call&, const In&, Out&)> {
    static constexpr bool kRep = false, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = 0, kOut = sizeof(Out);
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        Out out{};
        const HvStatus status = F(call, parse<In>(raw.header), out);
        store(raw.output, &out, 1);
        return {status};
    }
};
template <typename Out>
struct Form<HvStatus (*)(Call&, Out&)> {
    static constexpr bool kRep = false, kVariable = false;
    static constexpr std::size_t kHeader = 0, kIn = 0, kOut = sizeof(Out);
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        Out out{};
        const HvStatus status = F(call, out);
        store(raw.output, &out, 1);
        return {status};
    }
};
template <typename In>
struct Form<HvStatus (*)(Call&, const In&, Banks)> {
    static constexpr bool kRep = false, kVariable = true;
    static constexpr std::size_t kHeader = sizeof(In), kIn = 0, kOut = 0;
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        return {F(call, parse<In>(raw.header), raw.variable)};
    }
};
template <typename In>
struct Form<CallResult (*)(Call&, const In&, RepRange)> {
    static constexpr bool kRep = true, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = 0, kOut = 0;
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        return F(call, parse<In>(raw.header), raw.reps);
    }
};
template <typename In, typename E>
struct Form<CallResult (*)(Call&, const In&, RepRange, std::span<const E>)> {
    static constexpr bool kRep = true, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = sizeof(E), kOut = 0;
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        const std::vector<E> elements = parse_elements<E>(raw);
        return F(call, parse<In>(raw.header), raw.reps, std::span<const E>(elements));
    }
};
template <typename In, typename E>
struct Form<CallResult (*)(Call&, const In&, Banks, RepRange, std::span<const E>)> {
    static constexpr bool kRep = true, kVariable = true;
    static constexpr std::size_t kHeader = sizeof(In), kIn = sizeof(E), kOut = 0;
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        const std::vector<E> elements = parse_elements<E>(raw);
        return F(call, parse<In>(raw.header), raw.variable, raw.reps, std::span<const E>(elements));
    }
};
template <typename In, typename O>
requires(
    !std::is_const_v<O>) struct Form<CallResult (*)(Call&, const In&, RepRange, std::span<O>)> {
    static constexpr bool kRep = true, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = 0, kOut = sizeof(O);
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        std::vector<O> out(raw.reps.count);
        const CallResult result = F(call, parse<In>(raw.header), raw.reps, std::span<O>(out));
        store(raw.output, out.data(), result.done);
        return result;
    }
};
template <typename In, typename E, typename O>
struct Form<CallResult (*)(Call&, const In&, RepRange, std::span<const E>, std::span<O>)> {
    static constexpr bool kRep = true, kVariable = false;
    static constexpr std::size_t kHeader = sizeof(In), kIn = sizeof(E), kOut = sizeof(O);
    template <auto F>
    static CallResult run(Call& call, const RawCall& raw) {
        const std::vector<E> elements = parse_elements<E>(raw);
        std::vector<O> out(raw.reps.count);
        const CallResult result = F(call, parse<In>(raw.header), raw.reps,
                                    std::span<const E>(elements), std::span<O>(out));
        store(raw.output, out.data(), result.done);
        return result;
    }
};

}  // namespace detail

/// The table row of handler `F`.
template <auto F>
constexpr HypercallRow hypercall(std::uint16_t code, std::string_view name,
                                 Privilege privilege = Privilege::none) {
    using Form = detail::Form<decltype(F)>;
    return detail::make_row(code, name, privilege, Form::kRep, Form::kVariable, Form::kHeader,
                            Form::kIn, Form::kOut, &Form::template run<F>);
}

/// Which partitions a call may name besides the caller's children.
enum class Self : std::uint8_t { no, yes };

/// The partition that `id` names: a child of the caller, or the caller itself where `self` allows.
HvStatus target_partition(Call& call, PartitionId id, Self self, Partition*& target);
/// The same, and its processor `index` (kSelfVp: the caller, in its own partition).
HvStatus target_vp(Call& call, PartitionId id, Self self, VpIndex index, VirtualProcessor*& target);
/// The existing processors of the caller's partition that a VP set names; indices without a
/// processor are passed over.
HvStatus expand_vp_set(Call& call, const hc::VpSetHeader& set, Banks banks,
                       std::vector<VirtualProcessor*>& targets);
/// Those of VP indices 0 to 63.
std::vector<VirtualProcessor*> expand_vp_mask(Call& call, std::uint64_t mask);

}  // namespace hvsim::hv
