#include "hypervisor-model/hypercall/dispatcher.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "hypervisor-model/hypercall/table.h"
#include "hypervisor-model/spec/hypercall_abi.h"

namespace hvsim::hv {
namespace {

using namespace cpu::engine;  // register names
using Outcome = HypercallOutcome;

constexpr unsigned kAlignment = 8;
constexpr std::size_t kXmmOffset = 160;  // XMM0 in the FXSAVE image

/// The registers of the interface, in either width (TLFS 3.10).
class CallRegisters {
  public:
    explicit CallRegisters(VpContext& context) : context_(context) {
        constexpr std::uint64_t kLma = 1u << 10;
        constexpr unsigned kL = 13;
        long_mode_ = (context.efer() & kLma) != 0 &&
                     sim::bit(context.segment(SegmentName::cs).access_rights, kL);
    }
    std::uint64_t control() const { return long_mode_ ? context_.gpr(kRcx) : pair(kRdx, kRax); }
    std::uint64_t input() const { return long_mode_ ? context_.gpr(kRdx) : pair(kRbx, kRcx); }
    std::uint64_t output() const { return long_mode_ ? context_.gpr(kR8) : pair(kRdi, kRsi); }
    void set_control(std::uint64_t value) {
        long_mode_ ? context_.set_gpr(kRcx, value) : set_pair(kRdx, kRax, value);
    }
    void set_result(std::uint64_t value) {
        long_mode_ ? context_.set_gpr(kRax, value) : set_pair(kRdx, kRax, value);
    }
    /// The 112 bytes of fast parameters.
    void read_fast(std::span<std::uint8_t, kFastXmmBytes> out) const {
        const std::uint64_t first = input(), second = output();
        std::memcpy(out.data(), &first, 8);
        std::memcpy(out.data() + 8, &second, 8);
        const auto image = context_.fxsave();
        std::memcpy(out.data() + kFastRegisterBytes, image.data() + kXmmOffset,
                    kFastXmmBytes - kFastRegisterBytes);
    }
    /// Output goes into XMM registers only: it follows the input in whole register pairs.
    void write_fast(std::size_t offset, std::span<const std::uint8_t> in) {
        std::array<std::uint8_t, kFastXmmBytes> bytes{};
        read_fast(bytes);
        std::copy(in.begin(), in.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        auto image = context_.fxsave();
        std::memcpy(image.data() + kXmmOffset, bytes.data() + kFastRegisterBytes,
                    kFastXmmBytes - kFastRegisterBytes);
        context_.fxrstor(image);
        if (offset >= kFastRegisterBytes) return;
        std::uint64_t first = 0, second = 0;
        std::memcpy(&first, bytes.data(), 8);
        std::memcpy(&second, bytes.data() + 8, 8);
        long_mode_ ? context_.set_gpr(kRdx, first) : set_pair(kRbx, kRcx, first);
        long_mode_ ? context_.set_gpr(kR8, second) : set_pair(kRdi, kRsi, second);
    }

  private:
    static constexpr unsigned kR8 = cpu::engine::kR8;
    std::uint64_t pair(unsigned high, unsigned low) const {
        return context_.gpr(high) << 32 | (context_.gpr(low) & 0xffff'ffff);
    }
    void set_pair(unsigned high, unsigned low, std::uint64_t value) {
        context_.set_gpr(high, value >> 32);
        context_.set_gpr(low, value & 0xffff'ffff);
    }
    VpContext& context_;
    bool long_mode_ = false;
};

bool may_call(const VirtualProcessor& caller) {
    constexpr std::uint64_t kPe = 1;
    return (caller.context().cr(0) & kPe) != 0 && caller.context().cpl() == 0 &&
           caller.partition().hypercalls_enabled();
}

/// One hypercall from its registers to its result.
class Execution {
  public:
    Execution(Hypervisor& hypervisor, VirtualProcessor& caller, sim::Time now)
        : caller_(caller),
          partition_(caller.partition()),
          registers_(caller.context()),
          control_{registers_.control()},
          call_{hypervisor, partition_, caller, now} {}

    Outcome run() {
        const HypercallRow* row = find_hypercall(control_.code());
        if (row == nullptr) {
            ++partition_.counters().unknown_hypercalls;
            return complete(HvStatus::invalid_hypercall_code, 0, 0);
        }
        row_ = row;
        ++partition_.counters()
              .hypercalls[static_cast<std::size_t>(row - hypercall_table().data())];
        if (const HvStatus status = check_control(); status != HvStatus::success)
            return complete(status, 0, control_.rep_start());
        if (!partition_.has_privilege(row->privilege))
            return complete(HvStatus::access_denied, 0, control_.rep_start());
        if (const std::optional<Outcome> stopped = control_.fast() ? fast_input() : slow_input())
            return *stopped;
        return execute();
    }

  private:
    // TLFS 3.4, 3.8: the form of the input value.
    HvStatus check_control() {
        constexpr HvStatus kBad = HvStatus::invalid_hypercall_input;
        if (!control_.reserved_clear()) return kBad;
        if (control_.variable_bytes() != 0 && !row_->variable_header) return kBad;
        if (row_->rep) {
            if (control_.rep_start() >= control_.rep_count()) return kBad;
            reps_.start = control_.rep_start();
            reps_.count = std::min(control_.rep_count() - control_.rep_start(),
                                   call_.hypervisor.config().reps_per_slice);
        } else if (control_.rep_count() != 0 || control_.rep_start() != 0) {
            return kBad;
        }
        list_offset_ = row_->header_size + control_.variable_bytes();
        input_size_ = list_offset_ + std::size_t{control_.rep_count()} * row_->element_in;
        output_size_ =
            row_->rep ? std::size_t{control_.rep_count()} * row_->output_size : row_->output_size;
        return input_size_ <= sim::kPageSize && output_size_ <= sim::kPageSize ? HvStatus::success
                                                                               : kBad;
    }

    std::optional<Outcome> fast_input() {
        const std::size_t available =
            partition_.has_feature(cpuid::kXmmInput) ? kFastXmmBytes : kFastRegisterBytes;
        const bool output_allowed = partition_.has_feature(cpuid::kXmmOutput) &&
                                    partition_.has_privilege(Privilege::fast_hypercall_output);
        fast_output_offset_ = (input_size_ + 15) / 16 * 16;
        if (input_size_ > available ||
            (output_size_ != 0 &&
             (!output_allowed || fast_output_offset_ + output_size_ > kFastXmmBytes)))
            return complete(HvStatus::invalid_hypercall_input, 0, reps_.start);
        registers_.read_fast(std::span<std::uint8_t, kFastXmmBytes>(input_.data(), kFastXmmBytes));
        return std::nullopt;
    }

    std::optional<Outcome> slow_input() {
        if (input_size_ != 0) {
            const std::uint64_t gpa = registers_.input();
            if (const HvStatus status = check_gpa(gpa, input_size_); status != HvStatus::success)
                return complete(status, 0, reps_.start);
        }
        if (output_size_ != 0) {
            const std::uint64_t gpa = registers_.output();
            if (const HvStatus status = check_gpa(gpa, output_size_); status != HvStatus::success)
                return complete(status, 0, reps_.start);
            const GpaResult probed =
                partition_.gpa_space().probe(gpa, output_size_, GpaAccess::write);
            if (!probed.ok()) return inaccessible(probed, true);
        }
        if (input_size_ == 0) return std::nullopt;
        const GpaResult copied =
            partition_.gpa_space().read(registers_.input(), std::span(input_).first(input_size_));
        if (!copied.ok()) return inaccessible(copied, false);
        return std::nullopt;
    }

    static HvStatus check_gpa(std::uint64_t gpa, std::size_t size) {
        if (gpa % kAlignment != 0) return HvStatus::invalid_alignment;
        return gpa % sim::kPageSize + size <= sim::kPageSize ? HvStatus::success
                                                             : HvStatus::invalid_hypercall_input;
    }

    /// The parent answers for pages it has not mapped; the root partition has no parent.
    Outcome inaccessible(const GpaResult& result, bool write) {
        if (partition_.is_root())
            return complete(HvStatus::invalid_hypercall_input, 0, reps_.start);
        Outcome outcome;
        outcome.kind = Outcome::Kind::memory_intercept;
        outcome.gpa = result.gpa;
        outcome.write = write;
        outcome.code = control_.code();
        return outcome;
    }

    Outcome execute() {
        std::array<std::uint64_t, 512> variable;
        const std::size_t variable_bytes = control_.variable_bytes();
        std::memcpy(variable.data(), input_.data() + row_->header_size, variable_bytes);
        const std::span<const std::uint8_t> input(input_);
        const std::size_t slice_out =
            row_->rep ? std::size_t{reps_.count} * row_->output_size : output_size_;
        RawCall raw;
        raw.header = input.first(row_->header_size);
        raw.variable = Banks(variable).first(variable_bytes / 8);
        raw.elements = input.subspan(list_offset_ + std::size_t{reps_.start} * row_->element_in,
                                     std::size_t{reps_.count} * row_->element_in);
        raw.reps = reps_;
        raw.output = std::span(output_).first(slice_out);

        const CallResult result = row_->handler(call_, raw);
        write_output(result);
        const unsigned total = reps_.start + result.done;
        if (row_->rep && result.status == HvStatus::success && total < control_.rep_count())
            return continue_later(total, result.done);
        return complete(result.status, result.done, row_->rep ? total : 0);
    }

    void write_output(const CallResult& result) {
        std::size_t offset = 0;
        std::size_t size = 0;
        if (row_->rep) {
            offset = std::size_t{reps_.start} * row_->output_size;
            size = std::size_t{result.done} * row_->output_size;
        } else if (result.status == HvStatus::success) {
            size = output_size_;
        }
        if (size == 0) return;
        const auto bytes = std::span<const std::uint8_t>(output_).first(size);
        if (control_.fast())
            registers_.write_fast(fast_output_offset_ + offset, bytes);
        else
            // Was accessible before the call; what the call itself unmapped is lost.
            partition_.gpa_space().write(registers_.output() + offset, bytes);
    }

    Outcome continue_later(unsigned next, unsigned done) {
        ++partition_.counters().hypercall_continuations;
        registers_.set_control(HypercallInput::RepStart::set(control_.value, next));
        Outcome outcome;
        outcome.kind = Outcome::Kind::continue_later;
        outcome.reps_done = done;
        outcome.code = control_.code();
        return outcome;
    }

    Outcome complete(HvStatus status, unsigned done, unsigned total) {
        registers_.set_result(HypercallResult::make(status, total));
        call_.hypervisor.recorder().record(sim::EventKind::kHypercall, call_.now, caller_.subject(),
                                           control_.code(), control_.value,
                                           static_cast<std::uint64_t>(status), total);
        Outcome outcome;
        outcome.status = status;
        outcome.reps_done = done;
        outcome.yield = call_.yield;
        outcome.code = control_.code();
        return outcome;
    }

    VirtualProcessor& caller_;
    Partition& partition_;
    CallRegisters registers_;
    HypercallInput control_;
    Call call_;
    const HypercallRow* row_ = nullptr;
    RepRange reps_;
    std::size_t list_offset_ = 0, input_size_ = 0, output_size_ = 0, fast_output_offset_ = 0;
    std::array<std::uint8_t, sim::kPageSize> input_;   // filled as far as input_size_
    std::array<std::uint8_t, sim::kPageSize> output_;  // filled by the handler
};

}  // namespace

HypercallOutcome HypercallDispatcher::dispatch(VirtualProcessor& caller, sim::Time now) {
    if (!may_call(caller)) {
        ++caller.partition().counters().hypercall_ud;
        Outcome outcome;
        outcome.kind = Outcome::Kind::undefined;
        return outcome;
    }
    return Execution(hypervisor_, caller, now).run();
}

}  // namespace hvsim::hv
