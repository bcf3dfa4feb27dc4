// What the views of the keyboard have in common.

import UIKit

/// A view that is made by code alone.
class BaseView: UIView {
    init() {
        super.init(frame: .zero)
    }

    @available(*, unavailable)
    required init?(coder: NSCoder) {
        fatalError("this view is in no storyboard")
    }
}
