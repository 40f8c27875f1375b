#include "hypervisor-model/stack/string_io.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/events.h"
#include "sim/ram.h"

namespace hvsim::hv::stack {
namespace {

constexpr unsigned kEs = 0, kDs = 3, kFs = 4, kGs = 5;
constexpr std::uint64_t kDirectionFlag = 1u << 10;

struct Form {
    unsigned address_bits = 64;
    unsigned segment = kDs;
    bool long64 = false;
};

/// Prefixes decide on address size and segment (SDM 2A 2.1.1).
Form form_of(const IoPortIntercept& intercept, bool input) {
    using Long = sim::Bits<13>;
    using Big = sim::Bits<14>;
    const std::uint16_t rights = intercept.header.cs.attributes;
    Form form;
    form.long64 =
        (intercept.header.execution_state & ExecutionState::kEferLma) != 0 && Long::test(rights);
    bool other_size = false;
    int override_segment = -1;
    const std::size_t count =
        std::min<std::size_t>(intercept.instruction_byte_count, intercept.instruction_bytes.size());
    for (std::size_t i = 0; i < count; ++i) {
        switch (intercept.instruction_bytes[i]) {
            case 0x26:
                override_segment = 0;
                continue;
            case 0x2e:
                override_segment = 1;
                continue;
            case 0x36:
                override_segment = 2;
                continue;
            case 0x3e:
                override_segment = 3;
                continue;
            case 0x64:
                override_segment = kFs;
                continue;
            case 0x65:
                override_segment = kGs;
                continue;
            case 0x67:
                other_size = true;
                continue;
            case 0x66:
            case 0xf2:
            case 0xf3:
                continue;
            default:
                break;
        }
        const bool rex = form.long64 && (intercept.instruction_bytes[i] & 0xf0) == 0x40;
        if (!rex) break;
    }
    if (form.long64)
        form.address_bits = other_size ? 32 : 64;
    else
        form.address_bits = Big::test(rights) != other_size ? 32 : 16;
    if (input)
        form.segment = kEs;  // no override counts for INS
    else if (override_segment >= 0)
        form.segment = static_cast<unsigned>(override_segment);
    return form;
}

/// One instruction on its way.
class Emulation {
  public:
    Emulation(const IoPortIntercept& intercept, StringIoTarget& target)
        : intercept_(intercept),
          target_(target),
          input_(intercept.header.access == static_cast<std::uint8_t>(InterceptAccess::read)),
          size_(std::clamp<unsigned>(intercept.access_info & 7u, 1, 4)),
          form_(form_of(intercept, input_)),
          mask_(form_.address_bits == 64 ? ~std::uint64_t{0}
                                         : (std::uint64_t{1} << form_.address_bits) - 1),
          base_(segment_base()) {}

    StringIoResult run() {
        StringIoResult result{
            intercept_.header.rip, intercept_.rcx, intercept_.rsi, intercept_.rdi, 0, std::nullopt};
        const bool repeated = (intercept_.access_info & kIoRep) != 0;
        std::uint64_t left = repeated ? intercept_.rcx & mask_ : 1;
        std::uint64_t& index = input_ ? result.rdi : result.rsi;
        const bool down = (intercept_.header.rflags & kDirectionFlag) != 0;
        const std::uint64_t step = down ? ~std::uint64_t{size_} + 1 : size_;
        while (left != 0 && result.iterations < kStringIoIterations) {
            if (!transfer(index & mask_)) {
                result.fault = fault_;
                return result;
            }
            index = merged(index, index + step);
            --left;
            if (repeated) result.rcx = merged(result.rcx, left);
            ++result.iterations;
        }
        if (left == 0) {
            const std::uint64_t length = intercept_.header.instruction_length_cr8 & 0xf;
            result.rip = intercept_.header.rip + length;
            if (!form_.long64) result.rip &= 0xffffffff;
        }
        return result;
    }

  private:
    std::uint64_t segment_base() const {
        if (form_.long64 && form_.segment != kFs && form_.segment != kGs) return 0;
        if (form_.segment == kEs) return intercept_.es.base;
        if (form_.segment == kDs) return intercept_.ds.base;
        if (form_.segment == 1) return intercept_.header.cs.base;
        return target_.segment_base(form_.segment);
    }

    /// A 16-bit register leaves the rest as it is, a 32-bit one clears it (SDM 1 3.4.1.1).
    std::uint64_t merged(std::uint64_t old, std::uint64_t fresh) const {
        return form_.address_bits == 16 ? (old & ~mask_) | (fresh & mask_) : fresh & mask_;
    }

    bool transfer(std::uint64_t offset) {
        std::array<std::uint8_t, 4> bytes{};
        std::array<std::uint64_t, 2> gpa{};
        std::uint64_t linear = base_ + offset;
        if (!form_.long64) linear &= 0xffffffff;
        const unsigned first =
            std::min<unsigned>(size_, sim::kPageSize - (linear & (sim::kPageSize - 1)));
        // Both pages before the port: reading it may have effects.
        if (!translate(linear, gpa[0])) return false;
        if (first < size_ && !translate(next_page(linear), gpa[1])) return false;
        const std::span<std::uint8_t> data(bytes.data(), size_);
        std::uint32_t value = 0;
        if (input_) {
            value = target_.read_port(intercept_.port, size_);
            std::memcpy(bytes.data(), &value, sizeof value);
            target_.write(gpa[0], data.first(first));
            if (first < size_) target_.write(gpa[1], data.subspan(first));
        } else {
            target_.read(gpa[0], data.first(first));
            if (first < size_) target_.read(gpa[1], data.subspan(first));
            std::memcpy(&value, bytes.data(), sizeof value);
            target_.write_port(intercept_.port, size_, value);
        }
        return true;
    }

    std::uint64_t next_page(std::uint64_t linear) const {
        const std::uint64_t next = (linear | (sim::kPageSize - 1)) + 1;
        return form_.long64 ? next : next & 0xffffffff;
    }

    bool translate(std::uint64_t linear, std::uint64_t& gpa) {
        const auto upper = static_cast<std::int64_t>(linear) >> 47;
        if (form_.long64 && upper != 0 && upper != -1) {
            fault_ = {cpu::kGP, 0, 0};
            return false;
        }
        const std::uint64_t page = linear >> sim::kPageShift;
        if ((page != page_ || !page_known_) && !find_page(linear)) return false;
        gpa = gpa_page_ << sim::kPageShift | (linear & (sim::kPageSize - 1));
        return true;
    }

    bool find_page(std::uint64_t linear) {
        constexpr std::uint32_t kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8;
        const std::uint64_t page = linear >> sim::kPageShift;
        const hc::TranslateResult found = target_.translate(page, input_);
        std::uint32_t error = input_ ? kWrite : 0;
        if (ExecutionState::Cpl::get(intercept_.header.execution_state) == 3) error |= kUser;
        switch (static_cast<hc::TranslateCode>(found.code)) {
            case hc::TranslateCode::page_not_present:
                break;
            case hc::TranslateCode::privilege_violation:
                error |= kPresent;
                break;
            case hc::TranslateCode::invalid_page_table_flags:
                error |= kPresent | kReserved;
                break;
            default:
                page_ = page;
                page_known_ = true;
                gpa_page_ = found.code == 0 ? found.gpa_page : kNowhere;
                return true;
        }
        fault_ = {cpu::kPF, error, linear};
        return false;
    }

    /// Page number of an address that no memory answers at.
    static constexpr std::uint64_t kNowhere = ~std::uint64_t{0} >> (sim::kPageShift + 1);

    const IoPortIntercept& intercept_;
    StringIoTarget& target_;
    bool input_;
    unsigned size_;
    Form form_;
    std::uint64_t mask_, base_;
    bool page_known_ = false;
    std::uint64_t page_ = 0, gpa_page_ = 0;
    StringIoFault fault_;
};

}  // namespace

StringIoResult emulate_string_io(const IoPortIntercept& intercept, StringIoTarget& target) {
    return Emulation(intercept, target).run();
}

}  // namespace hvsim::hv::stack
