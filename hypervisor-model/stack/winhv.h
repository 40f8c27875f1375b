#pragma once
// WinHv: the root partition's library of hypercalls. Every call writes its input into the root's
// simulated memory and enters by the same door as a guest's VMCALL.
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/native_core.h"
#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/status.h"

namespace hvsim::hv::stack {

/// Gives the root partition's free pages to the hypervisor when a partition's pool is empty.
class PageDepositor {
  public:
    virtual ~PageDepositor() = default;
    /// Page numbers of `count` free pages.
    virtual std::vector<std::uint64_t> take_pages(std::size_t count) = 0;
};

class WinHv {
  public:
    /// `input_page` and `output_page`: root physical addresses of two pages of the library's own.
    WinHv(cpu::NativeCore& core, std::uint64_t input_page, std::uint64_t output_page);

    /// Registers the operating system and enables the hypercall page at `hypercall_page`.
    void enable(std::uint64_t hypercall_page);
    void set_depositor(PageDepositor* depositor) noexcept { depositor_ = depositor; }

    HvStatus create_partition(PartitionId& created);
    HvStatus initialize_partition(PartitionId partition);
    HvStatus set_property(PartitionId partition, std::uint32_t code, std::uint64_t value);
    HvStatus deposit(PartitionId partition, std::span<const std::uint64_t> pages);
    /// `count` pages from root page `source`, 2 MiB ones where alignment allows.
    HvStatus map_memory(PartitionId partition, std::uint64_t target, std::uint64_t source,
                        std::uint64_t count, std::uint32_t flags);
    HvStatus create_vp(PartitionId partition, VpIndex vp);
    HvStatus install_intercept(PartitionId partition, InterceptType type, std::uint32_t access,
                               std::uint64_t parameter);
    HvStatus create_port(PartitionId owner, PortId port, PartitionId connection_partition,
                         const PortInfo& info);
    HvStatus delete_port(PartitionId owner, PortId port);
    HvStatus connect_port(PartitionId partition, ConnectionId connection, PartitionId owner,
                          PortId port, PortType type);
    HvStatus disconnect_port(PartitionId partition, ConnectionId connection);
    HvStatus post_message(ConnectionId connection, std::uint32_t type,
                          std::span<const std::uint8_t> payload);
    HvStatus signal_event(ConnectionId connection, std::uint16_t flag);
    /// A flag of a SINT, or a message for it, without port and connection (TLFS 18: of a child, by
    /// its parent).
    HvStatus signal_event_direct(PartitionId partition, VpIndex vp, unsigned sint,
                                 std::uint16_t flag);
    HvStatus post_message_direct(PartitionId partition, VpIndex vp, unsigned sint,
                                 std::uint32_t type, std::span<const std::uint8_t> payload);
    HvStatus assert_interrupt(PartitionId partition, const hc::AssertInterrupt& interrupt);
    HvStatus set_registers(PartitionId partition, VpIndex vp,
                           std::span<const hc::RegisterAssociation> registers);
    HvStatus get_registers(PartitionId partition, VpIndex vp, std::span<const std::uint32_t> names,
                           std::span<RegisterValue> values);

    HvStatus translate(PartitionId partition, VpIndex vp, std::uint64_t gva_page,
                       std::uint64_t control, hc::TranslateResult& result);

    cpu::NativeCore& core() noexcept { return core_; }
    PartitionId self() const noexcept { return kSelfPartition; }

  private:
    /// `input` is header and list together. Deposits and repeats while `partition`'s pool is empty.
    HvStatus call(std::uint16_t code, std::span<const std::uint8_t> input, unsigned reps,
                  std::span<std::uint8_t> output = {}, PartitionId charged = kInvalidPartition);
    template <typename Input>
    HvStatus simple(std::uint16_t code, const Input& input,
                    PartitionId charged = kInvalidPartition) {
        return call(code, {reinterpret_cast<const std::uint8_t*>(&input), sizeof input}, 0, {},
                    charged);
    }
    template <typename Header, typename Element>
    HvStatus rep(std::uint16_t code, const Header& header, std::span<const Element> elements,
                 std::span<std::uint8_t> output = {}, PartitionId charged = kInvalidPartition);

    cpu::NativeCore& core_;
    std::uint64_t input_page_, output_page_;
    PageDepositor* depositor_ = nullptr;
};

}  // namespace hvsim::hv::stack
