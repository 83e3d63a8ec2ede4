"""Handwritten digits by a small convolutional network, trained by `Trainer`."""

import gradlib as gl
from gradlib import nn

gl.manual_seed(0)
train, test = gl.data.digits()
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding="same", activation="relu"),
    nn.BatchNorm2d(16),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding="same", activation="relu"),
    nn.BatchNorm2d(32),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Dense(128, 10),
)
optimizer = gl.optim.AdamW(model.parameters(), lr=5e-3)
trainer = gl.train.Trainer(model, optimizer)
trainer.fit(gl.data.DataLoader(train, batch_size=64, shuffle=True), epochs=6)
result = trainer.evaluate(gl.data.DataLoader(test, batch_size=64))
print(f"test accuracy {100 * result['accuracy']:.2f} %")
